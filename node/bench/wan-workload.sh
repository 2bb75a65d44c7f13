#!/usr/bin/env bash
# Runs a program whose writes `tidemark bench wan` records: wan-workload.sh NAME SECONDS
# The disk is the tap's NBD export at $SOCKET; all that is made goes to $SCRATCH. Prints "mark" where
# the measured part begins, and waits for a line. Needs root, nbdfuse, e2fsprogs, and the program.
set -euo pipefail

name=$1
seconds=$2
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
home=$(dirname "$(dirname "$here")")
uri="nbd+unix:///wan?socket=$SOCKET"
disk=$SCRATCH/disk
mount=$SCRATCH/mount
loop=''
server=''
stop_with=TERM
fuse=''
pg=/usr/lib/postgresql/15/bin

stop_server() {
  if [[ -n $server ]]; then
    kill "-$stop_with" "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=''
  fi
}

# What was just let go of may be busy for a moment: a loop device is detached when its last user has
# closed it, such as udev.
again() {
  for _ in $(seq 100); do
    "$@" 2>/dev/null && return
    sleep 0.1
  done
  "$@"
}

detached() { ! losetup "$loop"; }

clear_up() {
  stop_server
  mountpoint -q "$mount" && again umount "$mount"
  if [[ -n $loop ]]; then
    losetup -d "$loop"
    again detached >/dev/null
  fi
  mountpoint -q "$disk" && again fusermount3 -u "$disk"
  [[ -n $fuse ]] && wait "$fuse" || true
}
trap clear_up EXIT

say() { printf '%s\n' "$*" >&2; }

mark() {
  if mountpoint -q "$mount"; then sync -f "$mount"; fi
  echo mark
  read -r _
}

attach() {
  touch "$disk"
  nbdfuse -C 1 "$disk" "$uri" >&2 &
  fuse=$!
  for _ in $(seq 200); do
    [[ -s $disk ]] && break
    sleep 0.05
  done
  loop=$(losetup -f --show --direct-io=on "$disk")
  mkfs.ext4 -qF "$loop"
  mkdir "$mount"
  mount -o discard "$loop" "$mount"
  # The scratch directory is root's; servers run as users of their own.
  chmod 755 "$SCRATCH" "$mount"
}

# In the background the number of the process is that of the program.
as() {
  local user=$1
  shift
  exec setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
}

await() {
  for _ in $(seq 600); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  say "gave up waiting for: $*"
  exit 1
}

postgres() {
  install -d -o postgres "$mount/pg" "$SCRATCH/run"
  (as postgres "$pg/initdb" -D "$mount/pg" -A trust >/dev/null)
  stop_with=INT
  as postgres "$pg/postgres" -D "$mount/pg" -k "$SCRATCH/run" -h '' \
    -c shared_buffers=128MB -c max_wal_size=128MB "$@" >"$SCRATCH/pg.log" 2>&1 &
  server=$!
  await "$pg/pg_isready" -h "$SCRATCH/run"
}

run_pgbench() {
  attach
  postgres "${PG_OPTIONS[@]}"
  pgbench -h "$SCRATCH/run" -U postgres -i -q -s 10 postgres >/dev/null 2>&1
  psql -q -h "$SCRATCH/run" -U postgres -c checkpoint postgres
  mark
  pgbench -h "$SCRATCH/run" -U postgres -c 4 -j 2 -T "$seconds" -R 200 postgres |
    grep -E 'transactions actually|tps' || true
  psql -q -h "$SCRATCH/run" -U postgres -c checkpoint postgres
}

sql() { mariadb --no-defaults -N -u root --socket="$SCRATCH/run/s" -e "$1"; }

flushed() { [[ $(sql "show status like 'Innodb_buffer_pool_pages_dirty'" | cut -f2) -lt 20 ]]; }

run_mariadb() {
  attach
  install -d -o mysql "$mount/db" "$SCRATCH/run"
  mariadb-install-db --no-defaults --user=mysql --datadir="$mount/db" \
    --auth-root-authentication-method=normal >/dev/null 2>&1
  as mysql mariadbd --no-defaults --datadir="$mount/db" --socket="$SCRATCH/run/s" --skip-networking \
    --innodb-buffer-pool-size=128M --innodb-log-file-size=48M --pid-file="$SCRATCH/run/pid" \
    >"$SCRATCH/db.log" 2>&1 &
  server=$!
  await mariadb-admin --no-defaults -u root --socket="$SCRATCH/run/s" ping
  sql 'create database sbtest'
  local load=(sysbench oltp_read_write --db-driver=mysql --mysql-socket="$SCRATCH/run/s"
    --mysql-user=root --tables=4 --table-size=50000 --threads=4)
  "${load[@]}" prepare >/dev/null
  # What was prepared is to be in its place: the pages themselves, not the log alone.
  sql 'set global innodb_max_dirty_pages_pct_lwm=0; set global innodb_max_dirty_pages_pct=0'
  await flushed
  sql 'set global innodb_max_dirty_pages_pct=90'
  mark
  "${load[@]}" --time="$seconds" --rate=80 run | grep -E 'transactions:|queries:' || true
  mariadb-admin --no-defaults -u root --socket="$SCRATCH/run/s" shutdown
  wait "$server" || true
  server=''
}

# A checkout of this source tree, and builds of its first two modules by the compiler alone.
run_files() {
  attach
  mark
  git -C "$home" archive HEAD | tar -x -C "$mount"
  sync -f "$mount"
  mkdir "$mount/out"
  find "$mount"/{cluster-config,persistence}/src/main/java -name '*.java' >"$SCRATCH/sources"
  javac -nowarn -proc:none -parameters -d "$mount/out" -cp "$home/node/target/lib/*" \
    @"$SCRATCH/sources" 2>"$SCRATCH/javac.log" || { cat "$SCRATCH/javac.log" >&2; exit 1; }
  (cd "$mount" && jar cf out.jar -C out .)
  sync -f "$mount"
  find "$mount/persistence/src" -name '*.java' -print0 | xargs -0 sed -i '1s/^package/package /'
  javac -nowarn -proc:none -parameters -d "$mount/out" -cp "$home/node/target/lib/*" \
    @"$SCRATCH/sources"
  (cd "$mount" && jar cf out.jar -C out .)
  sync -f "$mount"
}

# A checkout beside an earlier one of the same tree: a volume that gets what it holds much of already.
run_copies() {
  local older
  attach
  older=$(git -C "$home" rev-list -n 1 --skip 200 HEAD)
  mkdir "$mount/one" "$mount/two"
  git -C "$home" archive "${older:-HEAD}" | tar -x -C "$mount/one"
  mark
  git -C "$home" archive HEAD | tar -x -C "$mount/two"
  sync -f "$mount"
}

run_random() {
  mark
  fio --name=random --ioengine=nbd --uri="$uri" --rw=randwrite --bs=4k --iodepth=16 \
    --size="${SIZE_MIB}M" --io_size=64M --refill_buffers --norandommap --minimal >/dev/null
}

PG_OPTIONS=()
case $name in
  pgbench) run_pgbench ;;
  pgbench-plain) PG_OPTIONS=(-c full_page_writes=off); run_pgbench ;;
  mariadb) run_mariadb ;;
  files) run_files ;;
  copies) run_copies ;;
  random) run_random ;;
  *) say "there is no workload $name: pgbench, pgbench-plain, mariadb, files, copies or random"; exit 2 ;;
esac
if mountpoint -q "$mount"; then
  stop_server
  sync -f "$mount"
fi
