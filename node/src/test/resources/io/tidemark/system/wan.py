"""A line between two network namespaces: a TUN device in each, and this process between them.

    wan.py NAMESPACE_A ADDRESS_A NAMESPACE_B ADDRESS_B

It delays, limits, loses, damages and cuts packets as it is told on its standard input, in one
direction (to: from A to B, back: from B to A) or in both. Each line is answered by one:

    rate MBIT               each direction's bits a second, 0 for no limit
    delay MILLIS            one way
    cut to|back|both        nothing passes
    lose PERCENT            of the packets of both directions, at random
    damage PERCENT          of the TCP packets with data, at random: one bit of the data is turned;
                            every second time TCP's own checksum is made to fit
    heal                    neither cut nor loss nor damage
    count                   bytes delivered from A to B and from B to A, packets damaged and lost

It ends with its standard input, and its devices with it.
"""
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

QUEUE_SECONDS = 0.4
PACKET_MAX = 2000
BATCH = 64
TUNSETIFF = 0x400454CA
IFF_TUN_WITHOUT_INFO = 0x1001
TCP = 6


class Direction:
    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.free_at = 0.0
        self.cut = False
        self.delivered = 0


class Line:
    def __init__(self, a, b):
        self.to, self.back = Direction(a, b), Direction(b, a)
        self.by_source = {a: self.to, b: self.back}
        self.rate = 0.0
        self.delay = 0.0
        self.loss = 0.0
        self.damage = 0.0
        self.damaged = self.lost = self.number = 0
        self.waiting = []

    def command(self, words):
        if words[0] == "rate":
            self.rate = float(words[1]) * 1e6 / 8
        elif words[0] == "delay":
            self.delay = float(words[1]) / 1e3
        elif words[0] == "lose":
            self.loss = float(words[1]) / 100
        elif words[0] == "damage":
            self.damage = float(words[1]) / 100
        elif words[0] == "cut":
            self.to.cut |= words[1] in ("to", "both")
            self.back.cut |= words[1] in ("back", "both")
            if not (self.to.cut or self.back.cut):
                return "unknown direction"
        elif words[0] == "heal":
            self.to.cut = self.back.cut = False
            self.loss = self.damage = 0.0
        elif words[0] == "count":
            return f"{self.to.delivered} {self.back.delivered} {self.damaged} {self.lost}"
        else:
            return "unknown command"
        return "ok"

    def taken(self, direction, packet):
        if direction.cut or (self.loss and random.random() < self.loss):
            self.lost += 1
            return
        if self.damage and random.random() < self.damage:
            packet = self.turned(packet)
        now = time.monotonic()
        due = now
        if self.rate:
            if direction.free_at - now > QUEUE_SECONDS:
                self.lost += 1
                return
            direction.free_at = max(direction.free_at, now) + len(packet) / self.rate
            due = direction.free_at
        self.number += 1
        heapq.heappush(self.waiting, (due + self.delay, self.number, direction, packet))

    def turned(self, packet):
        header = (packet[0] & 15) * 4
        if packet[0] >> 4 != 4 or packet[9] != TCP:
            return packet
        data = header + (packet[header + 12] >> 4) * 4
        if data >= len(packet):
            return packet
        changed = bytearray(packet)
        at = random.randrange(data, len(packet))
        even = at - (at - header) % 2
        before = int.from_bytes(bytes(changed[even : even + 2]).ljust(2, b"\0"), "big")
        changed[at] ^= 1 << random.randrange(8)
        after = int.from_bytes(bytes(changed[even : even + 2]).ljust(2, b"\0"), "big")
        self.damaged += 1
        if self.damaged % 2 == 0:  # RFC 1624
            old = struct.unpack_from(">H", changed, header + 16)[0]
            total = (~old & 0xFFFF) + (~before & 0xFFFF) + after
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            struct.pack_into(">H", changed, header + 16, ~total & 0xFFFF)
        return bytes(changed)

    def deliver(self):
        """Returns the seconds until the next packet is due."""
        now = time.monotonic()
        while self.waiting and self.waiting[0][0] <= now:
            _, _, direction, packet = heapq.heappop(self.waiting)
            if direction.cut:
                self.lost += 1
                continue
            try:
                os.write(direction.sink, packet)
                direction.delivered += len(packet)
            except OSError:
                self.lost += 1  # the device's queue is full, as a router's may be
        return max(0.0, self.waiting[0][0] - now) if self.waiting else 1.0


def tun(name, namespace, address, peer):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_WITHOUT_INFO))
    for command in (
        f"ip link set {name} netns {namespace}",
        f"ip -n {namespace} addr add {address} peer {peer} dev {name}",
        f"ip -n {namespace} link set {name} mtu 1500 txqueuelen 1000 up",
    ):
        subprocess.run(command.split(), check=True)
    return device


def main():
    name_a, address_a, name_b, address_b = sys.argv[1:]
    a = tun(f"tma{os.getpid()}", name_a, address_a, address_b)
    b = tun(f"tmb{os.getpid()}", name_b, address_b, address_a)
    line = Line(a, b)
    poll = select.epoll()
    for source in (0, a, b):
        poll.register(source, select.EPOLLIN)
    commands = b""
    print("up", flush=True)
    while True:
        wait = line.deliver()
        for source, _ in poll.poll(wait):
            if source == 0:
                read = os.read(0, 4096)
                if not read:
                    return
                commands += read
                while b"\n" in commands:
                    one, commands = commands.split(b"\n", 1)
                    print(line.command(one.decode().split()), flush=True)
                continue
            direction = line.by_source[source]
            for _ in range(BATCH):
                try:
                    packet = os.read(source, PACKET_MAX)
                except BlockingIOError:
                    break
                line.taken(direction, packet)


main()
