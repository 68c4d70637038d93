"""A link between two network namespaces, in user space: a TUN device at each end, and delay and loss in between.

Usage: link.py DELAY_MS LOSS_PERCENT. Prints "ready FD FD PID" once both ends are up: /proc/PID/fd/FD is a namespace that
`nsenter --net=` takes; the first end is 10.77.0.1, the second 10.77.0.2. Ends when standard input does. The namespaces
have no name, so nothing is left behind. Needs CAP_SYS_ADMIN, CAP_NET_ADMIN and /dev/net/tun.
"""

import collections
import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
MTU = 1500
# What a router would hold; more is dropped, as there.
MAX_QUEUED = 10_000

libc = ctypes.CDLL(None, use_errno=True)


def end(own, other):
    """Moves into a new namespace, sets its ends of the link up, and returns the namespace and the TUN device."""
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare: " + os.strerror(ctypes.get_errno()))
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"wire", IFF_TUN_NO_PI))
    for command in (
        ["addr", "add", own, "peer", other, "dev", "wire"],
        ["link", "set", "wire", "up", "mtu", str(MTU)],
        ["link", "set", "lo", "up"],
    ):
        subprocess.check_call(["ip", *command])
    return os.open("/proc/self/ns/net", os.O_RDONLY), tun


def relay(tuns, delay, loss):
    """Carries packets both ways: each waits for `delay` seconds, or is lost with a probability of `loss`."""
    dice = random.Random(1)
    queue = collections.deque()
    while True:
        wait = max(0, queue[0][0] - time.monotonic()) if queue else None
        ready, _, _ = select.select([*tuns, 0], [], [], wait)
        if 0 in ready and not os.read(0, 1):
            return
        now = time.monotonic()
        for tun, other in (tuns, reversed(tuns)):
            if tun not in ready:
                continue
            for packet in packets(tun):
                if dice.random() >= loss and len(queue) < MAX_QUEUED:
                    queue.append((now + delay, other, packet))
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            _, tun, packet = queue.popleft()
            try:
                os.write(tun, packet)
            except OSError:
                pass  # The device's own queue is full: lost, as on any link.


def packets(tun):
    """The packets that wait, but not so many that the other direction starves."""
    for _ in range(64):
        try:
            yield os.read(tun, MTU + 64)
        except BlockingIOError:
            return


def main():
    delay, loss = float(sys.argv[1]) / 1000, float(sys.argv[2]) / 100
    first, first_tun = end("10.77.0.1", "10.77.0.2")
    second, second_tun = end("10.77.0.2", "10.77.0.1")
    print("ready", first, second, os.getpid(), flush=True)
    relay((first_tun, second_tun), delay, loss)


main()
