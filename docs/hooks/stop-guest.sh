#!/bin/sh
# stop-guest.sh NAME: ends the virtual machine that boot-guest.sh booted, as a power cut does.
# A `pre` hook. May be run any number of times.
set -eu
pid=${TIDEMARK_GUESTS:-/run/tidemark-guests}/$1.pid
[ -e "$pid" ] || exit 0
number=$(cat "$pid")
kill "$number" 2> /dev/null || { rm -f "$pid"; exit 0; }
timeout 20 tail --pid="$number" -f /dev/null
rm -f "$pid"
