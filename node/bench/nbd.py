#!/usr/bin/env python3
"""Compares NBD servers with fio, in turn and in one run, and prints ratios.

    node/bench/nbd.py [--reps 5] [--seconds 5] [--only JOB,...] [--servers A,B,...] [--size-mib 1024]
                      [--node-idle]

Servers: tap-off (a tap that captures nothing), tap-on (a tap with capture to a one-node site on this
machine), nbdkit (its file plugin), qemu-nbd. Each repetition runs every server once before the next
begins, so that a change in the machine's speed meets all of them. A figure is the median; a ratio is
the median of the ratios of neighbouring runs. CPU is what the server process used, a GiB moved.
Each server has a backing file of its own, written once beforehand so that no job meets a hole, and then
at random for a while, so that what a JVM compiles is compiled.

After each run with capture the next one waits until everything is journaled. --node-idle runs the node
and its Cassandra at the idle scheduling priority, so that they take what fio and the tap leave of the
processors: as near to a node on another machine as one machine comes. Since a processor that someone
keeps awake answers faster than one that sleeps, idle-priority loops keep them awake for the other servers.
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBS = {
    "randwrite-4k-qd1": ["--rw=randwrite", "--bs=4k", "--iodepth=1"],
    "randwrite-4k-qd32": ["--rw=randwrite", "--bs=4k", "--iodepth=32"],
    "seqwrite-128k-qd8": ["--rw=write", "--bs=128k", "--iodepth=8"],
    "randread-4k-qd32": ["--rw=randread", "--bs=4k", "--iodepth=32"],
    "mixed-70-30-4k-qd16": ["--rw=randrw", "--rwmixread=70", "--bs=4k", "--iodepth=16"],
    "randwrite-4k-fsync": ["--rw=randwrite", "--bs=4k", "--iodepth=1", "--fsync=1"],
    "randwrite-4k-paced": ["--rw=randwrite", "--bs=4k", "--iodepth=8", "--rate_iops=2000", "--rate_process=poisson"],
}
READY_SECONDS = 120
WARM_SECONDS = 8


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what, seconds=READY_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"not ready within {seconds} s: {what}")
        time.sleep(0.1)


def connects(path):
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(path))
        return True
    except OSError:
        return False


class Servers:
    """The servers under test and what they need; ended by PID."""

    def __init__(self, work, names, size_mib, node_idle):
        self.work, self.size_mib, self.processes = work, size_mib, []
        self.node_prefix = ["chrt", "--idle", "0"] if node_idle else []
        self.node_idle = node_idle
        self.api = None
        self.uris, self.pids = {}, {}
        for name in names:
            getattr(self, name.replace("-", "_"))()

    def start(self, name, command):
        log = open(self.work / f"{name}.log", "wb")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT)
        self.processes.append(process)
        return process

    def backing(self, name):
        path = self.work / f"{name}.img"
        with open(path, "wb") as f:
            f.truncate(self.size_mib << 20)
        return path

    def ready(self, name, process, export=""):
        path = self.work / f"{name}.sock"
        wait_for(lambda: connects(path) or process.poll() is not None, name)
        if process.poll() is not None:
            sys.exit(f"{name} ended: {(self.work / f'{name}.log').read_text()}")
        self.uris[name] = f"nbd+unix:///{export}?socket={path}"
        self.pids[name] = process.pid

    def nbdkit(self):
        p = self.start("nbdkit", ["nbdkit", "-f", "-U", str(self.work / "nbdkit.sock"), "file", str(self.backing("nbdkit"))])
        self.ready("nbdkit", p)

    def qemu_nbd(self):
        p = self.start("qemu-nbd", ["qemu-nbd", "-t", "-f", "raw", "--cache=writeback", "-e", "8", "-k", str(self.work / "qemu-nbd.sock"), str(self.backing("qemu-nbd"))])
        self.ready("qemu-nbd", p)

    def tap_off(self):
        p = self.start("tap-off", [str(ROOT / "tidemark"), "tap", "--volume", f"off={self.backing('tap-off')}", "--listen", f"unix:{self.work / 'tap-off.sock'}", "--no-capture"])
        self.ready("tap-off", p, "off")

    def tap_on(self):
        ports = {k: free_port() for k in ("http.port", "tap-link.port", "images.port", "cluster.port", "management.port", "cassandra.embedded-server.native-port", "cassandra.embedded-server.storage-port")}
        config = self.work / "site.conf"
        config.write_text("tidemark {\n" + "".join(f"  {k} = {v}\n" for k, v in ports.items()) + "}\n")
        node = self.start("node", [*self.node_prefix, str(ROOT / "tidemark"), "up", "--config", str(config), "--data", str(self.work / "data")])
        url = f"http://127.0.0.1:{ports['http.port']}"
        self.api = f"{url}/api/v1/volumes/on"
        cli = [str(ROOT / "tidemark"), "volume", "create", "on", "--size", f"{self.size_mib}MiB", "--node", url]

        def created():
            if node.poll() is not None:
                sys.exit(f"the node ended: {(self.work / 'node.log').read_text()}")
            return subprocess.run(cli, capture_output=True).returncode == 0

        wait_for(created, "node")
        p = self.start("tap-on", [str(ROOT / "tidemark"), "tap", "--volume", f"on={self.backing('tap-on')}", "--listen", f"unix:{self.work / 'tap-on.sock'}", "--node", f"127.0.0.1:{ports['tap-link.port']}"])
        self.ready("tap-on", p, "on")

    def settle(self, name):
        """Waits until all that the server captured is journaled, as two words of the tap tell."""
        if name != "tap-on":
            return
        began = time.time()

        def drained():
            with urllib.request.urlopen(self.api) as answer:
                volume = json.load(answer)
            as_of = datetime.datetime.fromisoformat(volume["rpo"]["asOf"].replace("Z", "+00:00")) if volume["rpo"]["asOf"] else None
            return volume["state"] == "Protected" and volume["rpo"]["writes"] == 0 and as_of and as_of.timestamp() > began + 1

        wait_for(drained, "the journal of tap-on", 600)

    @contextlib.contextmanager
    def awake(self, name):
        """Keeps the processors from sleeping, as an idle-priority node does for tap-on."""
        loops = []
        if self.node_idle and name != "tap-on":
            loops = [subprocess.Popen(["chrt", "--idle", "0", "sh", "-c", "while :; do :; done"]) for _ in range(os.cpu_count())]
        try:
            yield
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()

    def cpu_seconds(self, name):
        fields = pathlib.Path(f"/proc/{self.pids[name]}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def fio(servers, name, options, seconds):
    before = servers.cpu_seconds(name)
    timed = ["--time_based", f"--runtime={seconds}"] if seconds else []
    command = ["fio", "--name=job", "--ioengine=nbd", f"--uri={servers.uris[name]}", f"--size={servers.size_mib}M", "--randrepeat=0", "--norandommap", "--output-format=json", *timed, *options]
    with servers.awake(name):
        run = subprocess.run(command, capture_output=True, text=True)
    servers.settle(name)
    if run.returncode != 0:
        sys.exit(f"fio failed on {name}: {run.stderr}{run.stdout}")
    job = json.loads(run.stdout[run.stdout.index("{"):])["jobs"][0]
    sides = [job[s] for s in ("read", "write") if job[s]["io_bytes"]]
    moved = sum(s["io_bytes"] for s in sides)
    main = max(sides, key=lambda s: s["io_bytes"]) if len(sides) == 1 else job["write"]
    return {
        "throughput": sum(s["bw_bytes"] for s in sides) / 1e6,
        "iops": sum(s["iops"] for s in sides),
        "mean": main["clat_ns"]["mean"] / 1e3,
        "p99": main["clat_ns"]["percentile"]["99.000000"] / 1e3,
        # What is left to journal after the run is paid for, too.
        "cpu": (servers.cpu_seconds(name) - before) / (moved / 2**30),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", default=",".join(JOBS))
    parser.add_argument("--servers", default="tap-off,tap-on,nbdkit,qemu-nbd")
    parser.add_argument("--size-mib", type=int, default=1024)
    parser.add_argument("--node-idle", action="store_true")
    options = parser.parse_args()
    names = options.servers.split(",")
    work = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-bench-"))
    servers = None
    try:
        servers = Servers(work, names, options.size_mib, options.node_idle)
        for name in names:
            fio(servers, name, ["--rw=write", "--bs=1M", "--iodepth=4"], None)
        for name in names:
            fio(servers, name, JOBS["randwrite-4k-qd32"], WARM_SECONDS)
        print(f"| job | server | MB/s | iops | mean us | p99 us | CPU s/GiB | throughput, p99 against {names[0]} |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for job in options.only.split(","):
            runs = {name: [] for name in names}
            for _ in range(options.reps):
                for name in names:
                    runs[name].append(fio(servers, name, JOBS[job], options.seconds))
            for name in names:
                m = {k: statistics.median(r[k] for r in runs[name]) for k in runs[name][0]}
                ratio = {k: statistics.median(a[k] / b[k] for a, b in zip(runs[name], runs[names[0]])) for k in ("throughput", "p99")}
                spread = f"{min(r['throughput'] for r in runs[name]):.0f}-{max(r['throughput'] for r in runs[name]):.0f}"
                print(f"| {job} | {name} | {m['throughput']:.1f} ({spread}) | {m['iops']:.0f} | {m['mean']:.0f} | {m['p99']:.0f} | {m['cpu']:.2f} | x{ratio['throughput']:.2f}, x{ratio['p99']:.2f} |", flush=True)
    finally:
        if servers:
            servers.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
