#!/usr/bin/env bash
# Makes disks with real file systems and known content: make-image.sh KIND DIRECTORY
# The tree is DIRECTORY/tree, made at the first call; the disk is DIRECTORY/KIND.img.
# What has to be mounted is mounted in a mount namespace of this script's own.
set -euo pipefail
export LC_ALL=C.UTF-8
kind=$1
cd "$2"
image=$PWD/$kind.img

make_tree() {
  mkdir -p tree/deep/a/b/c/d/e/f tree/empty tree/many
  (
    cd tree
    echo hello >hello.txt
    chmod 4750 hello.txt
    touch -d 2020-02-02T02:02:02.123456700Z hello.txt
    head -c 20000001 /dev/urandom >big.bin
    truncate -s 5G sparse.bin
    printf 'in the middle' | dd of=sparse.bin bs=1 seek=4500000000 conv=notrunc status=none
    echo space >'with space'
    echo utf8 >'ünïcødé näme'
    echo leaf >deep/a/b/c/d/e/f/leaf
    (cd many && seq -f 'file-%05g' 1 2500 | xargs touch)
    : >nothing
  )
}

make_unix_names() {
  [[ -e tree/link ]] && return
  (
    cd tree
    echo line >$'new\nline'
    echo forged >$'x\ndebugfs: stat <2>\nInode: 2'
    echo byte >$'odd\xffbyte'
    echo quote >$'quote"back\\slash\'s'
    echo option >-rf
    ln -s hello.txt link
    ln -s /deep/a absolute
    ln -s ../../../../../etc/passwd outside
    ln -s circle circle
    ln -s $'odd\n"\\\xfftarget' oddlink
    ln -s "$(printf '/%0900d/x' 1)" longlink
    ln hello.txt deep/hard
    mkfifo fifo
    chown 1234:5678 nothing
  )
}

# Runs with the disk mounted at mnt; arguments: mount command, then what to run.
mounted() {
  mkdir -p mnt
  MOUNT=$1 RUN=$2 IMAGE=$image unshare --mount --propagation private bash -euc '
    eval "$MOUNT"
    eval "$RUN"
    umount mnt'
}

# What every file system can name; the sparse file where it can be sparse.
plain='tree/big.bin tree/hello.txt tree/deep tree/empty tree/many tree/nothing "tree/with space"
  "tree/ünïcødé näme"'

[[ -d tree ]] || make_tree
case $kind in
  ext4)
    make_unix_names
    truncate -s 400M "$image"
    mkfs.ext4 -q -L recovered -d tree "$image"
    ;;
  ext2)
    make_unix_names
    truncate -s 300M "$image"
    mkfs.ext2 -q -b 1024 "$image"
    printf 'write tree/big.bin big.bin\nwrite tree/hello.txt hello.txt\nsymlink link hello.txt\n' |
      debugfs -w -f - "$image" >/dev/null 2>&1
    ;;
  xfs)
    make_unix_names
    truncate -s 400M "$image"
    mkfs.xfs -q "$image"
    mounted 'mount -o loop "$IMAGE" mnt' 'cp -a --sparse=always tree/. mnt/'
    ;;
  dirty-ext4 | dirty-xfs)
    truncate -s 400M "$image"
    "mkfs.${kind#dirty-}" -q "$image"
    mounted 'mount -o loop "$IMAGE" mnt' '
      mkdir mnt/d
      for i in $(seq 200); do echo "data $i" >"mnt/d/f$i"; done
      sync -f mnt/d/f1
      rm mnt/d/f7
      echo late >mnt/late
      sync mnt/late
      cp --sparse=always "$IMAGE" "$IMAGE.crashed"'
    mv "$image.crashed" "$image"
    ;;
  ntfs | ntfs-small)
    if [[ $kind == ntfs ]]; then truncate -s 6G "$image"; else truncate -s 400M "$image"; fi
    mkfs.ntfs -q -Q -F "$image" >/dev/null 2>&1
    mounted 'ntfs-3g -o compression "$IMAGE" mnt' "cp -r --preserve=timestamps --sparse=always ${plain//$'\n'/} tree/sparse.bin mnt/
      setfattr -h -n system.ntfs_attrib_be -v 0x00000800 mnt/empty
      yes 'hello world' | head -c 3000000 >mnt/empty/compressed || true
      setfattr -n user.stream -v streamed mnt/hello.txt"
    ;;
  fat12 | fat16 | fat32)
    declare -A mib=([fat12]=30 [fat16]=60 [fat32]=600)
    truncate -s "${mib[$kind]}M" "$image"
    mkfs.vfat -F "${kind#fat}" -n RECOVERED "$image" >/dev/null
    mcopy -s -m -i "$image" tree/big.bin tree/hello.txt tree/deep tree/empty 'tree/with space' \
      tree/nothing 'tree/ünïcødé näme' ::/
    ;;
  exfat)
    truncate -s 6G "$image"
    mkfs.exfat "$image" >/dev/null
    mounted 'loop=$(losetup -f --show "$IMAGE"); trap "losetup -d $loop" EXIT
      mount.exfat-fuse "$loop" mnt 2>/dev/null >&2' \
      "cp -r --preserve=timestamps ${plain//$'\n'/} mnt/"
    ;;
  mbr | gpt)
    truncate -s 200M "$image"
    if [[ $kind == mbr ]]; then
      printf 'label: dos\n1: size=60M\n2: size=100M,type=5\n5: size=30M\n6: size=20M,type=82\n' |
        sfdisk -q "$image"
      places=(1 5)
    else
      printf 'label: gpt\nsize=60M,name="data"\nsize=30M\nsize=20M\n' | sfdisk -q "$image"
      places=(1 2)
    fi
    start() { sfdisk --json "$image" | tr -d ' ",' | grep -A1 "node:.*img$1$" | sed -n 's/start://p'; }
    truncate -s 60M part1
    mkfs.vfat part1 >/dev/null
    mcopy -i part1 tree/hello.txt ::/first.txt
    mkdir -p other
    echo second >other/second.txt
    truncate -s 30M part2
    mkfs.ext4 -q -d other part2
    dd if=part1 of="$image" bs=512 seek="$(start "${places[0]}")" conv=notrunc status=none
    dd if=part2 of="$image" bs=512 seek="$(start "${places[1]}")" conv=notrunc status=none
    rm part1 part2
    ;;
  btrfs)
    truncate -s 200M "$image"
    # It asks for the file behind every mounted loop device, and gives up when one of them is gone:
    # other mounts of this machine must not decide about this test.
    unshare --mount sh -c \
      "awk '\$1 ~ /^.dev.loop/ { print \$2 }' /proc/self/mounts | xargs -r umount -l; mkfs.btrfs -q \"\$1\"" \
      sh "$image"
    ;;
  swap)
    truncate -s 20M "$image"
    mkswap -q "$image"
    ;;
  damaged)
    make_unix_names
    truncate -s 400M "$image"
    mkfs.ext4 -q -d tree "$image"
    # The first groups' tables of inodes, the root directory's among them.
    dd if=/dev/urandom of="$image" bs=4096 seek=20 count=8000 conv=notrunc status=none
    ;;
  *)
    echo "no such kind: $kind" >&2
    exit 2
    ;;
esac
