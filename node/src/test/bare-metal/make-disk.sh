#!/usr/bin/env bash
# Makes a disk that a PC's BIOS boots: MBR, a FAT partition with boot loader, kernel and initramfs, and an
# ext4 partition for the guest's data. Needs no root.
# usage: make-disk.sh KERNEL_DIRECTORY INIT_SCRIPT DISK
set -euo pipefail
kernel=$1 init=$2 disk=$3
version=$(ls "$kernel/lib/modules")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

root=$work/root
mkdir -p "$root"/{bin,dev,proc,sys,mnt,modules}
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in sh mount umount insmod cat dd sha256sum sync poweroff mkdir mv sleep cut ls; do
  ln -s busybox "$root/bin/$applet"
done
for module in virtio_pci virtio_blk crc32c_generic ext4; do
  modprobe -d "$kernel" -S "$version" --show-depends "$module" | awk '$1 == "insmod" {print $2}'
done | awk '!seen[$0]++' | while read -r file; do
  cp "$file" "$root/modules/"
  basename "$file" >>"$root/modules/order"
done
cp "$init" "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd.gz"

truncate -s 128M "$disk"
sfdisk -q "$disk" <<'TABLE'
label: dos
start=2048, size=98304, type=6, bootable
start=100352, type=83
TABLE
mkfs.fat -F 16 --offset=2048 "$disk" 49152 >"$work/mkfs.log" 2>&1
mke2fs -q -F -t ext4 -E offset=$((100352 * 512)) "$disk" 78M
cat >"$work/syslinux.cfg" <<'CONFIG'
DEFAULT linux
LABEL linux
  KERNEL vmlinuz
  APPEND initrd=initrd.gz console=ttyS0 panic=-1 quiet
CONFIG
mcopy -i "$disk@@1M" "$kernel/boot/vmlinuz-$version" ::vmlinuz
mcopy -i "$disk@@1M" "$work/initrd.gz" "$work/syslinux.cfg" ::
syslinux --install --offset $((2048 * 512)) "$disk"
dd if=/usr/lib/syslinux/mbr/mbr.bin of="$disk" bs=440 count=1 conv=notrunc status=none
