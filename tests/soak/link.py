# SPDX-License-Identifier: Apache-2.0
"""Network links that lose, delay, reorder and repeat IP packets, between network namespaces.

Each link is a pair of TUN devices: what the kernel sends into one comes out of the other, when it does. That is what
netem does to a veth pair, where the kernel has it (sch_netem is a module that many kernels of virtual machines lack);
/dev/net/tun is there almost everywhere. TCP itself runs in the kernel, at both ends, and sees a bad network.

`Links` starts the process that moves the packets: this file, run as a program. Orders go there as JSON lines.
"""

import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA  # linux/if_tun.h, with IFF_TUN | IFF_NO_PI
IFF = 0x0001 | 0x1000
QUEUE = 1000            # packets on their way in one direction; more are lost, as in netem
GOOD = {"loss": 0.0, "delay": 0.0, "jitter": 0.0, "repeat": 0.0, "up": True}


def tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF))
    return fd


class Links:
    """Made one by one, then started. Devices and the process end with this one."""

    def __init__(self, seed):
        self.seed, self.pairs, self.process = seed, [], None
        self.ours, theirs = socket.socketpair()
        self.theirs = theirs
        self.answers = None

    def add(self, near, far):
        """Two devices, `near` and `far`, in this network namespace; the number of the link."""
        self.pairs.append((tun(near), tun(far)))
        return len(self.pairs) - 1

    def start(self):
        fds = [fd for pair in self.pairs for fd in pair] + [self.theirs.fileno()]
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-B", os.path.abspath(__file__), str(self.seed),
             str(self.theirs.fileno())] + ["%d,%d" % pair for pair in self.pairs], pass_fds=fds)
        self.theirs.close()
        for fd in fds[:-1]:
            os.close(fd)
        self.answers = self.ours.makefile("r", encoding="utf-8")

    def set(self, link, **how):
        """loss, repeat: chances of a packet; delay, jitter: seconds, jitter also reorders; up. Absent: as in GOOD."""
        self.order({"link": link, "how": dict(GOOD, **how)})

    def counts(self):
        return self.order({})

    def order(self, o):
        self.ours.sendall((json.dumps(o) + "\n").encode())
        answer = self.answers.readline()
        if not answer:
            raise RuntimeError("the process that moves packets has ended")
        return json.loads(answer)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()


# --- the process ---

class Mover:
    def __init__(self, seed, orders, pairs):
        self.random = random.Random("%s link" % seed)
        self.orders = socket.socket(fileno=orders)
        self.to, self.link_of = {}, {}
        for i, (a, b) in enumerate(pairs):
            self.to[a], self.to[b] = b, a
            self.link_of[a] = self.link_of[b] = i
        self.how = [dict(GOOD) for _ in pairs]
        self.queued = dict.fromkeys(self.to, 0)
        self.late = []  # heap of (due, number, target, link, packet)
        self.number = 0
        self.counts = dict.fromkeys(("packets", "bytes", "lost", "cut", "delayed", "repeated", "overtaken"), 0)
        self.last_due = dict.fromkeys(self.to, 0.0)
        self.text = b""

    def write(self, target, packet):
        try:
            os.write(target, packet)
        except OSError:  # the device is down: so is the link
            self.counts["cut"] += 1

    def packet(self, source, packet, now):
        link = self.link_of[source]
        how, target = self.how[link], self.to[source]
        self.counts["packets"] += 1
        self.counts["bytes"] += len(packet)
        if not how["up"]:
            self.counts["cut"] += 1
            return
        if how["loss"] and self.random.random() < how["loss"]:
            self.counts["lost"] += 1
            return
        copies = 1
        if how["repeat"] and self.random.random() < how["repeat"]:
            self.counts["repeated"] += 1
            copies = 2
        for _ in range(copies):
            if not how["delay"] and not how["jitter"]:
                self.write(target, packet)
                continue
            if self.queued[target] >= QUEUE:
                self.counts["lost"] += 1
                continue
            due = now + max(0.0, how["delay"] + self.random.uniform(-how["jitter"], how["jitter"]))
            self.counts["delayed"] += 1
            self.counts["overtaken"] += due < self.last_due[target]
            self.last_due[target] = max(due, self.last_due[target])
            self.queued[target] += 1
            self.number += 1
            heapq.heappush(self.late, (due, self.number, target, link, packet))

    def release(self, now):
        while self.late and self.late[0][0] <= now:
            _, _, target, link, packet = heapq.heappop(self.late)
            self.queued[target] -= 1
            if self.how[link]["up"]:
                self.write(target, packet)
            else:
                self.counts["cut"] += 1

    def order(self):
        """False: whoever gave them is gone."""
        data = self.orders.recv(65536)
        if not data:
            return False
        self.text += data
        while b"\n" in self.text:
            line, self.text = self.text.split(b"\n", 1)
            o = json.loads(line)
            if "link" in o:
                self.how[o["link"]] = o["how"]
            answer = self.how[o["ask"]] if "ask" in o else self.counts
            self.orders.sendall((json.dumps(answer) + "\n").encode())
        return True

    def run(self):
        poll = select.poll()
        for fd in list(self.to) + [self.orders.fileno()]:
            poll.register(fd, select.POLLIN)
        while True:
            wait = None
            if self.late:
                wait = max(0.0, (self.late[0][0] - time.monotonic()) * 1000)
            ready = poll.poll(wait)
            now = time.monotonic()
            self.release(now)
            for fd, events in ready:
                if fd == self.orders.fileno():
                    if not self.order():
                        return
                    continue
                if not events & select.POLLIN:
                    time.sleep(0.01)  # a device that is down: POLLERR at once, again and again
                    continue
                for _ in range(64):
                    try:
                        packet = os.read(fd, 65536)
                    except BlockingIOError:
                        break
                    except OSError:
                        break
                    self.packet(fd, packet, now)


if __name__ == "__main__":
    Mover(sys.argv[1], int(sys.argv[2]), [tuple(int(x) for x in a.split(",")) for a in sys.argv[3:]]).run()
