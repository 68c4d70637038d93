#!/usr/bin/env python3
"""A network link in user space, for kernels without netem: two TUN devices in two network namespaces, and between them a
way that delays, disorders and loses packets.

    link.py NAMESPACE DEVICE NAMESPACE DEVICE SEED

Makes both devices and prints "up". Then each line of standard input is JSON that sets what happens to every packet, in
either direction, from then on:

    {"delay_ms": 100, "jitter_ms": 5, "loss": 0.05}

`delay_ms` is that of one direction; `jitter_ms`, the most by which a packet's delay differs from it, lets packets
overtake each other; `loss` is a probability. What is left out is 0. The answer is a line of JSON with all packets so far:
{"carried": 120, "lost": 6}. Which of them are lost follows from SEED and their order. Ends when standard input does; the
devices are gone then.
"""

import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import select
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
MOST_BYTES = 65536
# Packets read of one device before the other has its turn.
BURST = 64
# Packets on their way; a link that is slower than its senders loses what comes on top.
QUEUE = 10_000

libc = ctypes.CDLL(None, use_errno=True)


def open_tun(namespace: str, device: str) -> int:
    """Makes a TUN device in a namespace, which this process enters for as long as that takes."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        enter(there)
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
        return tun
    finally:
        enter(home)
        os.close(there)
        os.close(home)


def enter(namespace: int) -> None:
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Link:
    """What happens to packets. `send` is given those that have come through, and the device they go to."""

    def __init__(self, seed: int) -> None:
        self.delay = self.jitter = self.loss = 0.0
        self.carried = self.lost = 0
        self._chance = random.Random(seed)
        self._order = itertools.count()
        self._way: list[tuple[float, int, int, bytes]] = []

    def set(self, line: bytes) -> str:
        wanted = json.loads(line)
        self.delay = wanted.get("delay_ms", 0) / 1000
        self.jitter = wanted.get("jitter_ms", 0) / 1000
        self.loss = wanted.get("loss", 0)
        return json.dumps({"carried": self.carried, "lost": self.lost})

    def take(self, packet: bytes, to: int, now: float) -> None:
        if self._chance.random() < self.loss or len(self._way) >= QUEUE:
            self.lost += 1
            return
        self.carried += 1
        at = now + max(0.0, self.delay + self._chance.uniform(-self.jitter, self.jitter))
        heapq.heappush(self._way, (at, next(self._order), to, packet))

    def wait(self, now: float) -> float | None:
        """Seconds until a packet arrives; None when there is none."""
        return max(0.0, self._way[0][0] - now) if self._way else None

    def deliver(self, now: float) -> None:
        while self._way and self._way[0][0] <= now:
            _, _, to, packet = heapq.heappop(self._way)
            try:
                os.write(to, packet)
            except OSError:
                # The device is down, or full: a wire does not mind either.
                self.lost += 1


def packets(tun: int):
    for _ in range(BURST):
        try:
            yield os.read(tun, MOST_BYTES)
        except OSError:
            # Nothing more for now, or the device is down.
            return


def main() -> None:
    _, here, device_here, there, device_there, seed = sys.argv
    a, b = open_tun(here, device_here), open_tun(there, device_there)
    link = Link(int(seed))
    print("up", flush=True)
    stdin = sys.stdin.fileno()
    commands = b""
    while True:
        readable, _, _ = select.select([a, b, stdin], [], [], link.wait(time.monotonic()))
        now = time.monotonic()
        for tun, other in ((a, b), (b, a)):
            if tun in readable:
                for packet in packets(tun):
                    link.take(packet, other, now)
        link.deliver(time.monotonic())
        if stdin in readable:
            read = os.read(stdin, MOST_BYTES)
            if not read:
                return
            *lines, commands = (commands + read).split(b"\n")
            for line in lines:
                print(link.set(line), flush=True)


main()
