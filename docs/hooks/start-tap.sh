#!/bin/sh
# start-tap.sh: fills backing stores from the journal's head and has the tap serve them.
# A `post` hook of both sites. tidemark-tap.service runs
#   tidemark tap --state $TIDEMARK_BACKING/state --volume db=$TIDEMARK_BACKING/db.img ...
set -eu
systemctl stop tidemark-tap.service
rm -rf "$TIDEMARK_BACKING/state"
for volume in $TIDEMARK_VOLUMES; do
  store="$TIDEMARK_BACKING/$volume.img"
  rm -f "$store"
  tidemark image export "$volume" --at latest --format raw --to "$store"
done
systemctl start tidemark-tap.service
