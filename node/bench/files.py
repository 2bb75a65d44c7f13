#!/usr/bin/env python3
"""Measures browsing and fetching files of recovery points over HTTP.

    node/bench/files.py [--reps 5] [--file-mib 128] [--entries 10000] [--only KIND,...]

Kinds: ext4, xfs, ntfs, fat32 (with 1 000 entries at most, for mtools writes no larger directory in
reasonable time). For each a real file system with one large file and one large directory is
written through a tap to a one-node site on this machine, one after the other into one volume, so that each
is a recovery point. Then, with times in milliseconds: the first answer about a point (its view is opened,
its journal looked at), the directory in one answer the first time and again, a small file, and the large
file's first byte and throughput, from Cassandra and again from the node's caches. Needs root for xfs and ntfs.
"""
import argparse
import http.client
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import nbd  # noqa: E402

VOLUME_MIB = 640
FAT_ENTRIES = 1_000


def run(*command, shell=None):
    done = subprocess.run(["bash", "-euc", shell] if shell else command, capture_output=True)
    if done.returncode:
        sys.exit(f"{shell or command}: {done.stderr.decode(errors='replace')}")


def tree(work, file_mib, entries):
    root = work / "tree"
    (root / "many").mkdir(parents=True)
    with open(root / "large", "wb") as f:
        for _ in range(file_mib):
            f.write(os.urandom(1 << 19) + bytes(1 << 19))
    (root / "small").write_text("small\n")
    for i in range(entries):
        (root / "many" / f"file-{i:06}").touch()
    return root


def disk(work, kind, root):
    image = work / f"{kind}.img"
    with open(image, "wb") as f:
        f.truncate(VOLUME_MIB << 20)
    mounted = "unshare -m --propagation private bash -euc 'mkdir -p {w}/mnt; {mount} {i} {w}/mnt; cp -r {t}/. {w}/mnt/; umount {w}/mnt'"
    if kind == "ext4":
        run("mkfs.ext4", "-q", "-F", "-d", str(root), str(image))
    elif kind == "fat32":
        run("mkfs.vfat", "-F", "32", str(image))
        run("mcopy", "-i", str(image), f"{root}/large", f"{root}/small", "::/")
        run("mmd", "-i", str(image), "::/many")
        run("mcopy", "-i", str(image), *map(str, sorted((root / "many").iterdir())[:FAT_ENTRIES]), "::/many/")
    elif kind == "xfs":
        run("mkfs.xfs", "-q", "-f", str(image))
        run(shell=mounted.format(w=work, mount="mount -o loop", i=image, t=root))
    else:
        run("mkfs.ntfs", "-q", "-Q", "-F", str(image))
        run(shell=mounted.format(w=work, mount="ntfs-3g", i=image, t=root))
    return image


class Site:
    def __init__(self, work):
        self.servers = nbd.Servers(work, ["tap-on"], VOLUME_MIB, False)
        self.url = urllib.parse.urlsplit(self.servers.api)

    def get(self, query):
        """Status, seconds to the first byte, seconds to the last, and the body's length or JSON."""
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port)
        began = time.perf_counter()
        connection.request("GET", self.url.path + query)
        answer = connection.getresponse()
        first = answer.read(1)
        to_first = time.perf_counter() - began
        length, kept = len(first), first
        while piece := answer.read(1 << 20):
            length += len(piece)
            if length < 64 << 20 and "/content" not in query:
                kept += piece
        seconds = time.perf_counter() - began
        connection.close()
        if answer.status != 200:
            sys.exit(f"{query}: {kept[:500]}")
        return to_first, seconds, length if "/content" in query else json.loads(kept)

    def store(self, image):
        run("nbdcopy", "--flush", str(image), self.servers.uris["tap-on"])
        self.servers.settle("tap-on")
        return self.get("")[2]["head"]["seq"]


def measure(site, seq, entries, reps, figures):
    def sample(name, value):
        figures.setdefault(name, []).append(value)

    at = f"at=seq:{seq}"
    sample("first answer", site.get(f"/files?{at}&path=/&limit=1")[1] * 1e3)
    for i in range(reps):
        _, seconds, listing = site.get(f"/files?{at}&path=/many&limit=10000")
        assert len(listing["entries"]) == min(entries, 10000), len(listing["entries"])
        sample("directory first" if i == 0 else "directory again", seconds * 1e3)
    for i in range(reps):
        sample("small file", site.get(f"/content?{at}&path=/small")[1] * 1e3)
    for i in range(reps):
        first, seconds, length = site.get(f"/content?{at}&path=/large")
        when = "first" if i == 0 else "again"
        sample(f"first byte {when}", first * 1e3)
        sample(f"MB/s {when}", length / seconds / 1e6)
    return listing["fileSystem"]["journal"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--file-mib", type=int, default=128)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--only", default="ext4,xfs,ntfs,fat32")
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-bench-"))
    site = None
    columns = ["first answer", "directory first", "directory again", "small file", "first byte first", "first byte again", "MB/s first", "MB/s again"]
    try:
        root = tree(work, options.file_mib, options.entries)
        site = Site(work)
        print("| file system | " + " | ".join(columns) + " |")
        print("| --- |" + " --- |" * len(columns))
        for kind in options.only.split(","):
            seq = site.store(disk(work, kind, root))
            (work / f"{kind}.img").unlink()
            figures = {}
            entries = min(options.entries, FAT_ENTRIES) if kind == "fat32" else options.entries
            journal = measure(site, seq, entries, options.reps, figures)
            cells = []
            for column in columns:
                values = figures[column]
                text = f"{statistics.median(values):.0f}"
                cells.append(text + (f" ({min(values):.0f}-{max(values):.0f})" if len(values) > 1 else ""))
            print(f"| {kind}, journal {journal} | " + " | ".join(cells) + " |", flush=True)
    finally:
        if site is not None:
            site.servers.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
