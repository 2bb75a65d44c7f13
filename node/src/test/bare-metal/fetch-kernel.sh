#!/usr/bin/env bash
# Fetches a small Linux kernel package with the machine's own package manager and unpacks it.
# usage: fetch-kernel.sh DIRECTORY
set -euo pipefail
mkdir -p "$1"
cd "$1"
package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/{print $2; exit}')
apt-get download "$package"
dpkg -x "$package"*.deb .
rm "$package"*.deb
depmod -b "$PWD" "$(ls lib/modules)"
echo "kernel $(ls lib/modules) in $PWD: ready for BareMetalTest"
