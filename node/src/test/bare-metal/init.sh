#!/bin/sh
# The guest: says which generation of its data it finds whole, then writes one more each time that it is
# told to on the serial line.
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do insmod "/modules/$module"; done </modules/order
exec </dev/ttyS0 >/dev/ttyS0 2>&1
if ! mount -t ext4 /dev/vda2 /mnt; then echo "GUEST no-file-system"; poweroff -f; fi
generation=0
while [ -e "/mnt/generation-$((generation + 1))" ]; do
  generation=$((generation + 1))
  cd "/mnt/generation-$generation" || exit 1
  sha256sum -c -s sums || { echo "GUEST damaged generation $generation"; poweroff -f; }
  cd /
done
echo "GUEST found $generation"
while read -r order && [ "$order" = more ]; do
  next=/mnt/writing
  mkdir "$next"
  cd "$next" || exit 1
  generation=$((generation + 1))
  dd if=/dev/urandom of=data bs=65536 count=24 2>/dev/null
  echo "$generation" >number
  sha256sum data number >sums
  sync
  cd /
  mv "$next" "/mnt/generation-$generation"
  sync
  echo "GUEST wrote $generation"
done
umount /mnt
poweroff -f
