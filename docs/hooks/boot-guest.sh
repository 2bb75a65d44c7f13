#!/bin/sh
# boot-guest.sh NAME [QEMU OPTION ...]: boots a virtual machine from the step's first volume, which
# the tap serves at TIDEMARK_LISTEN; in a test from the test's image, with no network.
# A `post` hook, and a `check`: a machine of the name that runs is left alone. Its console is
# /run/tidemark-guests/NAME.console; TIDEMARK_GUESTS names another directory.
set -eu
name=$1
shift
directory=${TIDEMARK_GUESTS:-/run/tidemark-guests}
mkdir -p "$directory"
if [ "$TIDEMARK_RUN" = test ]; then
  name=$name-test
  first=${TIDEMARK_IMAGES%% *}
  disk=${first#*=}
  network="-nic none"
else
  volume=${TIDEMARK_VOLUMES%% *}
  case $TIDEMARK_LISTEN in
    unix:*) disk="nbd+unix:///$volume?socket=${TIDEMARK_LISTEN#unix:}" ;;
    *) disk="nbd://$TIDEMARK_LISTEN/$volume" ;;
  esac
  network=
fi
if [ -e "$directory/$name.pid" ] && kill -0 "$(cat "$directory/$name.pid")" 2> /dev/null; then
  exit 0
fi
rm -f "$directory/$name.pid"
# shellcheck disable=SC2086
qemu-system-x86_64 -name "$name" -m 512 -display none -daemonize $network \
  -pidfile "$directory/$name.pid" -serial "file:$directory/$name.console" \
  -drive "if=virtio,format=raw,cache=none,discard=unmap,file=$disk" "$@"
