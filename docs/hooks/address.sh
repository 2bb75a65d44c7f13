#!/bin/sh
# address.sh ADDRESS/BITS DEVICE [del]: a virtual IP that clients know a service by.
# A `post` hook of both sites, and with `del` a `pre` hook of both. May be run any number of times.
set -eu
if [ "${3:-add}" = del ]; then
  ip -o addr show dev "$2" | grep -qF " $1 " || exit 0
  ip addr del "$1" dev "$2"
  exit 0
fi
ip addr replace "$1" dev "$2"
# Neighbours learn the new hardware address at once, where the tool for it is installed.
if command -v arping > /dev/null; then
  arping -q -c 2 -U -I "$2" "${1%/*}" || echo "nobody was told of $1 by ARP" >&2
fi
