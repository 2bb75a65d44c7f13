#!/usr/bin/env python3
"""Measures replication between two sites on this machine over a line of a given rate and delay.

    node/bench/wan-sites.py [--mbit 20] [--rtt-ms 80] [--trace FILE] [--seconds 60] [--only PART,...]

Starts two sites with a Cassandra each, and a relay between them that carries the link's bytes at the
rate and with the delay, and counts them. Nothing is encrypted. Parts, in this order:

  trace       a record of `tidemark bench wan --traces DIR` is written through a tap: what comes before its
              mark as fast as it goes, the rest at its own pace; bytes on the line against raw bytes
  first       first synchronisations of two volumes that differ in a hundredth of their blocks, one after the
              other: each is written with what comes before the record's mark, then linked; bytes on the line
              against the history's data and against the content compressed
  rpo         incompressible writes at a third of the line's rate: how old the oldest write is that the target
              lacks, by the link's own word, asked for twenty times a second
  crowded     the same at 1.5 times the line's rate
  throughput  the same at twice the rate: bytes a second on the line against its rate, and against what a plain
              connection gets through such a relay before and after
  failback    a planned failover, writes at the target, and back: bytes on the line back against changed bytes
  resync      a resync ordered after a part of the volume was changed: bytes against the volume's size and the change

Needs python3-libnbd (under Debian's own python3).
"""
import argparse
import asyncio
import json
import os
import pathlib
import random
import shutil
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path = [p for p in sys.path if pathlib.Path(p).resolve() != pathlib.Path(__file__).resolve().parent]
import nbd  # noqa: E402  (libnbd, not the script beside this one)

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIDEMARK = os.environ.get("TIDEMARK_LAUNCHER", str(ROOT / "tidemark"))
SIZE_MIB = 512
FILLED_MIB = 64
BLOCK = 4096


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what, seconds=300, every=0.2):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"gave up waiting for {what}")
        time.sleep(every)


class Relay(threading.Thread):
    """Carries TCP connections at a rate and with a delay, the same both ways."""

    PIECE = 8 << 10

    def __init__(self, target_port, mbit, rtt_ms):
        super().__init__(daemon=True)
        self.port = free_port()
        self.target_port = target_port
        self.rate = mbit * 1e6 / 8
        self.delay = rtt_ms / 2e3
        self.bytes = [0, 0]
        self.free = [0.0, 0.0]
        self.up = threading.Event()

    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        server = await asyncio.start_server(self.accept, "127.0.0.1", self.port)
        self.up.set()
        async with server:
            await server.serve_forever()

    async def accept(self, reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        await asyncio.gather(self.carry(reader, there_writer, 0), self.carry(there_reader, writer, 1))

    async def carry(self, reader, writer, way):
        # As much as a line of that rate and delay has on the way, and 100 ms of a router's queue.
        queue = asyncio.Queue(maxsize=max(4, int(self.rate * (self.delay + 0.1) / self.PIECE)))
        loop = asyncio.get_running_loop()

        async def deliver():
            while (item := await queue.get()) is not None:
                due, piece = item
                wait = due - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                writer.write(piece)
                await writer.drain()
            writer.close()

        delivery = asyncio.create_task(deliver())
        try:
            while piece := await reader.read(self.PIECE):
                self.bytes[way] += len(piece)
                self.free[way] = max(self.free[way], loop.time()) + len(piece) / self.rate
                await queue.put((self.free[way] + self.delay, piece))
        except ConnectionError:
            pass
        await queue.put(None)
        try:
            await delivery
        except ConnectionError:
            pass


class Site:
    def __init__(self, work, name, announced=None, join=None):
        self.name, self.work = name, work / name
        self.work.mkdir()
        keys = ("http.port", "tap-link.port", "images.port", "cluster.port", "management.port",
                "cassandra.embedded-server.native-port", "cassandra.embedded-server.storage-port")
        self.ports = {k: free_port() for k in keys}
        self.url = f"http://127.0.0.1:{self.ports['http.port']}/api/v1"
        self.join, self.process = join, None

    def start(self, announced=None):
        lines = "".join(f"  {k} = {v}\n" for k, v in self.ports.items())
        if announced:
            lines += f'  tap-link.announced = "127.0.0.1:{announced}"\n'
        config = self.work / "site.conf"
        config.write_text("tidemark {\n" + lines + "  cassandra.embedded-server.start-timeout = 240 s\n}\n")
        command = [TIDEMARK, "up", "--config", str(config), "--data", str(self.work / "data"), "--site", self.name]
        if self.join:
            command += ["--join", self.join]
        self.log = open(self.work / "log", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def ask(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def ready(self):
        if self.process.poll() is not None:
            sys.exit(f"site {self.name} ended: {(self.work / 'log').read_text()}")
        try:
            self.ask("GET", "/site")
            return True
        except (OSError, urllib.error.URLError):
            return False

    def tap(self, volume, fresh=True):
        backing, socket = self.work / f"{volume}.img", self.work / f"{volume}.sock"
        if fresh:
            with open(backing, "wb") as f:
                f.truncate(SIZE_MIB << 20)
        log = open(self.work / f"{volume}-tap.log", "wb")
        process = subprocess.Popen(
            [TIDEMARK, "tap", "--volume", f"{volume}={backing}", "--listen", f"unix:{socket}",
             "--node", f"127.0.0.1:{self.ports['tap-link.port']}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        handle = nbd.NBD()

        def connects():
            nonlocal handle
            if process.poll() is not None:
                sys.exit(f"the tap of {volume} ended: {(self.work / f'{volume}-tap.log').read_text()}")
            try:
                handle = nbd.NBD()
                handle.connect_uri(f"nbd+unix:///{volume}?socket={socket}")
                return True
            except nbd.Error:
                return False

        wait_for(connects, f"the tap of {volume}")
        return process, handle


class Stage:
    def __init__(self, work, options):
        self.options = options
        self.a = Site(work, "a")
        self.b = Site(work, "b", join=f"127.0.0.1:{self.a.ports['cluster.port']}")
        self.relay = Relay(self.b.ports["tap-link.port"], options.mbit, options.rtt_ms)
        self.back = Relay(self.a.ports["tap-link.port"], options.mbit, options.rtt_ms)
        self.processes = []
        for relay in (self.relay, self.back):
            relay.start()
            relay.up.wait()

    def start(self):
        self.a.start(self.back.port)
        self.processes.append(self.a.process)
        self.b.start(self.relay.port)
        self.processes.append(self.b.process)
        wait_for(self.a.ready, "site a")
        wait_for(self.b.ready, "site b")
        wait_for(lambda: self.reachable(self.a, "b") and self.reachable(self.b, "a"), "the sites to meet")

    @staticmethod
    def reachable(site, other):
        # A site that formed a cluster of its own before it met the other starts its node again.
        try:
            return any(s["name"] == other and s["reachable"] for s in site.ask("GET", "/sites"))
        except OSError:
            return False

    def volume(self, name):
        self.a.ask("POST", "/volumes", {"name": name, "sizeBytes": SIZE_MIB << 20})
        process, handle = self.a.tap(name)
        self.processes.append(process)
        return process, handle

    def link(self, volume):
        self.a.ask("POST", "/links", {"volumes": [volume], "to": "b", "name": volume})

    def lane(self, link, site=None):
        return (site or self.a).ask("GET", f"/links/{link}")["lanes"][0]

    def head(self, volume, site=None):
        return (site or self.a).ask("GET", f"/volumes/{volume}")

    def caught_up(self, volume, seconds=900):
        def done():
            source = self.head(volume)
            lane = self.lane(volume)
            return (source["rpo"]["writes"] == 0 and lane["acknowledged"]["seq"] == source["head"]["seq"]
                    and lane["connected"] and lane["state"] == "Streaming")

        # Two words, a status apart: what the tap told last may be a second old.
        wait_for(done, "the target", seconds)
        time.sleep(1.5)
        wait_for(done, "the target", seconds)

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def segments(file):
    """The record's marks as None, its segments as lists of (time, offset, length, data or None)."""
    with open(file, "rb") as f:
        if f.read(8) != b"TMTRACE1":
            sys.exit(f"{file} is no record of writes")
        f.read(8)
        while (kind := f.read(1)) != b"\0":
            if kind == b"\2":
                yield None
                continue
            head = f.read(struct.unpack(">i", f.read(4))[0])
            data = f.read(struct.unpack(">i", f.read(4))[0])
            at = 2
            _, at = varint(head, at)
            when, at = varint(head, at)
            count, at = varint(head, at)
            _, at = varint(head, at)
            chunks, at = varint(head, at)
            at += 4 * chunks
            writes, end, position = [], 0, 0
            for _ in range(count):
                step, at = varint(head, at)
                jump, at = varint(head, at)
                coded, at = varint(head, at)
                when += step
                offset = end + ((jump >> 1) ^ -(jump & 1))
                length = coded >> 1
                end = offset + length
                if coded & 1:
                    writes.append((when, offset, length, None))
                else:
                    writes.append((when, offset, length, data[position:position + length]))
                    position += length
            yield writes


class Writer:
    """Writes without waiting for each, as many in flight as a disk's queue has."""

    IN_FLIGHT = 32

    def __init__(self, handle):
        self.handle, self.kept = handle, {}

    def write(self, offset, length, data):
        if data is None:
            cookie = self.handle.aio_zero(length, offset)
            self.kept[cookie] = None
        else:
            buffer = nbd.Buffer.from_bytearray(bytearray(data))
            self.kept[self.handle.aio_pwrite(buffer, offset)] = buffer
        while len(self.kept) >= self.IN_FLIGHT:
            self.poll(-1)

    def poll(self, timeout):
        self.handle.poll(timeout)
        for cookie in [c for c in self.kept if self.handle.aio_command_completed(c)]:
            del self.kept[cookie]

    def flush(self):
        while self.kept:
            self.poll(-1)
        self.handle.flush()


def quantile(values, q):
    values = sorted(values)
    return values[round(q * (len(values) - 1))]


def difference(after, before):
    return {kind: {k: after["kinds"][kind][k] - before["kinds"].get(kind, {}).get(k, 0) for k in sent} for kind, sent in after["kinds"].items()}


def trace(stage):
    name = "trace"
    _, handle = stage.volume(name)
    writer = Writer(handle)
    marks = sum(1 for writes in segments(stage.options.trace) if writes is None)
    begun, origin, raw, before, line = None, None, 0, None, 0
    lags = []
    for writes in segments(stage.options.trace):
        if writes is None:
            marks -= 1
            if marks == 0:
                writer.flush()
                stage.link(name)
                stage.caught_up(name)
                before, line = stage.lane(name), list(stage.relay.bytes)
                sampler = Sampler(stage, name)
                begun = time.monotonic()
            continue
        if marks:
            for _, offset, length, data in writes:
                writer.write(offset, length, data)
            continue
        origin = origin or writes[0][0]
        for when, offset, length, data in writes:
            wait = begun + (when - origin) / 1e6 - time.monotonic()
            if wait > 0.001:
                time.sleep(wait)
            writer.write(offset, length, data)
            raw += len(data or b"")
    writer.flush()
    lags = sampler.end()
    stage.caught_up(name)
    after = stage.lane(name)
    sent = after["sent"]["lineBytes"] - before["sent"]["lineBytes"]
    there, again = (stage.relay.bytes[i] - line[i] for i in (0, 1))
    print(f"| {pathlib.Path(stage.options.trace).stem} | {raw} | {sent} | {there} | {again} | {raw / there:.2f} | {text(lags)} |")
    for kind, sent in difference(after, before).items():
        print(f"  {kind}: {sent}", file=sys.stderr)


def first(stage):
    """Links volumes that are full already, the second similar to the first."""
    before, writes = [], []
    for segment in segments(stage.options.trace):
        if segment is None:
            before = list(writes)
        else:
            writes += segment
    chance = random.Random(17)
    for name in ("one", "two"):
        _, handle = stage.volume(name)
        writer, content, raw = Writer(handle), bytearray(SIZE_MIB << 20), 0
        for _, offset, length, data in before:
            writer.write(offset, length, data)
            content[offset:offset + length] = data if data is not None else bytes(length)
            raw += len(data or b"")
        if name == "two":
            used = [b for b in range(len(content) // BLOCK) if content[b * BLOCK:(b + 1) * BLOCK].strip(b"\0")]
            for b in chance.sample(used, len(used) // 100):
                content[b * BLOCK:b * BLOCK + 64] = chance.randbytes(64)
                writer.write(b * BLOCK, BLOCK, bytes(content[b * BLOCK:(b + 1) * BLOCK]))
                raw += BLOCK
        writer.flush()
        line = list(stage.relay.bytes)
        stage.link(name)
        stage.caught_up(name)
        there, again = (stage.relay.bytes[i] - line[i] for i in (0, 1))
        blocks = [content[at:at + BLOCK] for at in range(0, len(content), BLOCK)]
        full = b"".join(b for b in blocks if b.strip(b"\0"))
        print(f"| {name} | {raw} | {len(full)} | {compressed(full, 'gzip', '-6')} | {compressed(full, 'zstd', '-3')} | {there} | {again} |")


def compressed(data, *command):
    return len(subprocess.run([*command, "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout)


class Sampler(threading.Thread):
    """Asks for the link's lag twenty times a second."""

    def __init__(self, stage, link):
        super().__init__(daemon=True)
        self.stage, self.link, self.lags, self.over = stage, link, [], threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.05):
            lane = self.stage.lane(self.link)
            self.lags.append(lane["lag"]["seconds"])

    def end(self):
        self.over.set()
        self.join()
        return self.lags


def text(lags):
    return f"{quantile(lags, .5):.2f} / {quantile(lags, .99):.2f} / {max(lags):.2f} s ({len(lags)})"


def load(stage, handle, volume, rate, seconds):
    """Random bytes at random places at a rate; gives the lags and how the relay was used meanwhile."""
    writer, chance = Writer(handle), random.Random(7)
    line, sampler = list(stage.relay.bytes), Sampler(stage, volume)
    begun, done = time.monotonic(), 0
    while (now := time.monotonic() - begun) < seconds:
        while done < rate * now:
            writer.write(chance.randrange(SIZE_MIB << 8) * BLOCK, BLOCK, chance.randbytes(BLOCK))
            done += BLOCK
        writer.poll(1)
        time.sleep(0.002)
    writer.flush()
    elapsed = time.monotonic() - begun
    return sampler.end(), done, (stage.relay.bytes[0] - line[0]) / elapsed


class Seconds(threading.Thread):
    """The line's bytes in each second."""

    def __init__(self, relay):
        super().__init__(daemon=True)
        self.relay, self.rates, self.over = relay, [], threading.Event()
        self.start()

    def run(self):
        at, before = time.monotonic(), self.relay.bytes[0]
        while not self.over.wait(1):
            now, after = time.monotonic(), self.relay.bytes[0]
            self.rates.append((after - before) / (now - at))
            at, before = now, after

    def end(self):
        self.over.set()
        self.join()
        return self.rates


def paced(stage, what, share):
    _, handle = stage.volume(what)
    stage.link(what)
    rate = stage.relay.rate * share
    load(stage, handle, what, rate, 10)
    stage.caught_up(what)
    whole = Seconds(stage.relay)
    lags, done, line = load(stage, handle, what, rate, stage.options.seconds)
    begun, backlog = time.monotonic(), stage.lane(what)["lag"]["bytes"]
    stage.caught_up(what)
    rates = [r * 8 / 1e6 for r in whole.end()]
    print(f"| {what} | {done * 8 / stage.options.seconds / 1e6:.1f} Mbit/s | {line * 8 / 1e6:.2f} Mbit/s | {text(lags)} |")
    print(f"  {what}: {backlog / 1e6:.0f} MB behind at the end, there {time.monotonic() - begun:.1f} s later; "
          f"Mbit in a second, median, 9th decile: {quantile(rates, .5):.2f}, {quantile(rates, .9):.2f}")


def bare_line(stage, seconds=10):
    """What a plain connection gets through a relay like the link's, bytes a second."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sink) as sink:
        sink.daemon_threads = True
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        relay = Relay(sink.server_address[1], stage.options.mbit, stage.options.rtt_ms)
        relay.start()
        relay.up.wait()
        with socket.create_connection(("127.0.0.1", relay.port)) as sender:
            warm = time.monotonic() + 2
            while time.monotonic() < warm:
                sender.sendall(bytes(relay.PIECE))
            begun, before = time.monotonic(), relay.bytes[0]
            while time.monotonic() < begun + seconds:
                sender.sendall(bytes(relay.PIECE))
            rate = (relay.bytes[0] - before) / (time.monotonic() - begun)
        sink.shutdown()
    return rate


class Sink(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(1 << 16):
            pass


def throughput(stage):
    print(f"a plain connection before: {bare_line(stage) * 8 / 1e6:.2f} Mbit/s")
    paced(stage, "throughput", 2.0)
    print(f"a plain connection after: {bare_line(stage) * 8 / 1e6:.2f} Mbit/s")


def rpo(stage):
    paced(stage, "rpo", 1 / 3)


def crowded(stage):
    paced(stage, "crowded", 1.5)


def resync(stage):
    """Pauses, changes a part, and orders source and target to be compared."""
    name = "resync"
    _, handle = stage.volume(name)
    writer, chance = Writer(handle), random.Random(11)
    for block in range(0, FILLED_MIB << 8, 64):
        writer.write(block * BLOCK, 64 * BLOCK, chance.randbytes(64 * BLOCK))
    writer.flush()
    stage.link(name)
    stage.caught_up(name)
    for changed in (0, 1, 16):
        stage.a.ask("PATCH", f"/links/{name}", {"paused": True})
        for block in chance.sample(range(FILLED_MIB << 8), changed << 8):
            writer.write(block * BLOCK, BLOCK, chance.randbytes(BLOCK))
        writer.flush()
        line = list(stage.relay.bytes)
        stage.a.ask("PATCH", f"/links/{name}", {"paused": False})
        stage.a.ask("POST", f"/links/{name}/resync", {})
        stage.caught_up(name)
        there, again = (stage.relay.bytes[i] - line[i] for i in (0, 1))
        print(f"| {FILLED_MIB} MiB of {SIZE_MIB} | {changed << 20} | {there} | {again} |")


def failback(stage):
    """A planned failover, another while of writes at the other site, and back."""
    name = "home"
    tap, handle = stage.volume(name)
    writer, chance = Writer(handle), random.Random(13)
    for block in range(0, FILLED_MIB << 8, 64):
        writer.write(block * BLOCK, 64 * BLOCK, chance.randbytes(64 * BLOCK))
    writer.flush()
    stage.link(name)
    stage.caught_up(name)
    stage.a.ask("POST", "/plans", {"name": "go", "source": "a", "target": "b", "steps": [{"name": "all", "volumes": [name]}]})

    def state(site, wanted):
        def reached():
            plan = site.ask("GET", "/plans/go")
            if plan["state"] == "Failed":
                sys.exit(f"the plan failed: {plan}")
            return plan["state"] == wanted

        wait_for(reached, f"the plan to be {wanted}")

    wait_for(lambda: any(p["name"] == "go" for p in stage.b.ask("GET", "/plans")), "the plan at b")
    stage.a.ask("POST", "/plans/go/failover", {"mode": "planned"})
    state(stage.b, "FailedOver")
    handle = None
    tap.terminate()
    tap.wait(60)
    shutil.copy(stage.a.work / f"{name}.img", stage.b.work / f"{name}.img")
    line = list(stage.back.bytes)
    stage.b.ask("POST", "/plans/go/commit")
    state(stage.b, "Committed")
    process, handle = stage.b.tap(name, fresh=False)
    stage.processes.append(process)

    def arrived():
        lanes = [lane for link in stage.b.ask("GET", "/links") for lane in link["lanes"] if lane["volume"] == name]
        head = stage.head(name, stage.b)
        return (head["state"] == "Protected" and head["tap"]["mode"] == "continuous" and head["rpo"]["writes"] == 0
                and lanes and lanes[0]["state"] == "Streaming" and lanes[0]["acknowledged"]["seq"] == head["head"]["seq"])

    def arrive():
        wait_for(arrived, "the link back")
        time.sleep(1.5)
        wait_for(arrived, "the link back")

    # The tap compares its backing store with the journal first; what that finds crosses the line, too.
    arrive()
    taken = stage.back.bytes[0] - line[0]
    writer = Writer(handle)
    changed = 16 << 20
    for block in chance.sample(range(FILLED_MIB << 8), changed // BLOCK):
        writer.write(block * BLOCK, BLOCK, chance.randbytes(BLOCK))
    writer.flush()
    arrive()
    stage.a.ask("POST", "/plans/go/failback")
    state(stage.a, "Ready")
    there, again = (stage.back.bytes[i] - line[i] for i in (0, 1))
    print(f"| {FILLED_MIB} MiB of {SIZE_MIB} | {changed} | {taken} | {there - taken} | {again} |")


PARTS = {"trace": trace, "first": first, "rpo": rpo, "crowded": crowded, "throughput": throughput, "resync": resync, "failback": failback}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mbit", type=float, default=20)
    parser.add_argument("--rtt-ms", type=float, default=80)
    parser.add_argument("--trace")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--keep", action="store_true", help="keeps the directory, with the logs")
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-wan-sites-"))
    stage = Stage(work, options)
    try:
        stage.start()
        for part in options.only.split(","):
            if part not in ("trace", "first") or options.trace:
                PARTS[part](stage)
                sys.stdout.flush()
    finally:
        stage.stop()
        if not options.keep:
            shutil.rmtree(work)


if __name__ == "__main__":
    main()
