# SPDX-License-Identifier: Apache-2.0
"""What the hosts measure: entries from a seed into a growing file, at a rate, with the memory of it bounded."""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream_list import Oracle, Workload, boot_aggregate  # noqa: E402

BANKS = ("sha1", "sha256")
HISTORY = 1 << 19  # values of PCR 10 that are kept, of the newest entries
VALUE = 32


class Boot(Workload):
    """The measurement list of one boot. What was sent is not kept; the newest values of PCR 10 are, by index."""

    def __init__(self, seed, host, number, rare):
        super().__init__(seed, "%s boot %d" % (host, number), rare)
        self.host, self.number = host, number
        self.oracle = Oracle(BANKS)
        self.history = bytearray(HISTORY * VALUE)

    def next(self, plant=None):
        if plant is None:
            plant = self.random.randrange(self.rare) == 0
        e = boot_aggregate() if self.count == 0 else self.unknown() if plant else self.known()
        self.oracle.add(e)
        at = self.count % HISTORY * VALUE
        self.history[at:at + VALUE] = self.oracle.value["sha256"]
        return e.wire

    def value_after(self, n):
        """PCR 10 after n entries, in hex; None: too long ago, or never."""
        if n <= 0 or n > self.count or n <= self.count - HISTORY:
            return None
        at = n % HISTORY * VALUE
        return self.history[at:at + VALUE].hex()

    def planted_until(self, n):
        return {e: x for e, x in self.planted.items() if e <= n}

    def fails_until(self, n):
        return sum(1 for e, (_, reason) in self.planted.items()
                   if e <= n and reason in ("digest-unknown", "digest-mismatch"))


class Feeder(threading.Thread):
    """Writes to all hosts so that `rate` entries a second come together, in bursts, singly and with pauses. What was
    missed while a host was down or held is made up for."""

    def __init__(self, seed, rate, backlog):
        super().__init__(daemon=True)
        self.random = random.Random("%s feeder" % seed)
        self.rate, self.backlog = rate, backlog
        self.lock = threading.Lock()
        self.hosts = []      # with .boot, .out, .stored (entries that are safe), .held
        self.total = 0
        self.full = 0        # times a host's backlog was at its maximum
        self.stop = False
        self.failed = None

    def add(self, host):
        with self.lock:
            self.hosts.append(host)

    def hold(self, host, on):
        """No more entries for it; none is being written when this returns."""
        with self.lock:
            host.held = on

    def feed(self, host, n):
        """Returns how many were written."""
        with self.lock:
            n = min(n, max(0, self.backlog - (host.boot.count - host.stored)))
            if host.held or n <= 0:
                self.full += not host.held
                return 0
            data = host.boot.take(n)
            cut = self.random.randrange(len(data) + 1)
            for part in (data[:cut], data[cut:]):
                host.out.write(part)
                host.out.flush()
            return n

    def run(self):
        began, quiet = time.monotonic(), 0.0
        try:
            while not self.stop:
                now = time.monotonic()
                due = int(self.rate * (now - began)) - self.total
                if now >= quiet and due > 0:
                    n = min(due, 2000)
                    for host in self.random.sample(self.hosts, len(self.hosts)):
                        part = self.random.randrange(n + 1) if self.random.random() < 0.5 else n // len(self.hosts) + 1
                        self.total += self.feed(host, min(part, 500))
                    if self.random.random() < 0.002:
                        quiet = now + self.random.uniform(0.5, 3)  # then a burst
                time.sleep(self.random.uniform(0.001, 0.02))
        except Exception as e:  # told by the main loop
            self.failed = e
