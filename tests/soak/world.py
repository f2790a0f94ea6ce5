# SPDX-License-Identifier: Apache-2.0
"""Hosts, verifiers and the network between them, with everything that can be done to them.

A host is a collector, a software TPM and a growing file that stands in for the kernel's list. Hosts live in this
process' network namespace (made by `run`), each verifier in one of its own; between each host and each verifier there
is one link (link.py). A verifier's store and its events are on a disk of its own: a tmpfs whose size can be changed.
Each daemon has a wall clock that can be stepped (clock_step.c).
"""

import contextlib
import mmap
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from stream import BIN, Collector, Failure, Tpm, Verifier, write_policy  # noqa: E402
from feed import BANKS, Boot  # noqa: E402
from link import Links  # noqa: E402

CLOCK = os.environ.get("IMASTREAM_CLOCK_STEP") or os.path.join(BIN, "..", "default", "tests", "clock_step.so")
DISK = 8 << 30
PORT = 7900
DEADLINE = 180


def command(*argv):
    r = subprocess.run(argv, capture_output=True, text=True, check=False)
    if r.returncode:
        raise Failure("%s: %s" % (" ".join(argv), (r.stderr or r.stdout).strip()))


class Clock:
    """How far a daemon's wall clock is off."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.write(bytes(8))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 8)
        self.env = ["env", "LD_PRELOAD=" + os.path.abspath(CLOCK), "IMASTREAM_CLOCK_FILE=" + path]

        self.now = self.lowest = 0.0  # seconds; lowest since begin()

    def step(self, seconds):
        self.now = seconds
        self.lowest = min(self.lowest, seconds)
        self.map[:8] = struct.pack("q", int(seconds * 1000000))

    def begin(self):
        """Another life of the daemon. How far its clock is ahead of what it may have written down before."""
        ahead, self.lowest = self.now - self.lowest, self.now
        return ahead


class Guard(Verifier):
    """A verifier in a network namespace of its own, on a disk of its own."""

    def __init__(self, world, number, steady):
        self.number, self.steady = number, steady
        self.name = "verifier-%d" % number
        self.disk = os.path.join(world.dir, "disk-%d" % number)
        os.mkdir(self.disk)
        command("mount", "-t", "tmpfs", "-o", "size=%d,mode=0700" % DISK, "imastream-soak", self.disk)
        self.clock = Clock("%s/%s.clock" % (world.dir, self.name))
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"])
        self.ns = "/proc/%d/ns/net" % self.holder.pid
        end = time.monotonic() + 10
        while os.stat(self.ns).st_ino == os.stat("/proc/self/ns/net").st_ino:
            if time.monotonic() > end:
                raise Failure("no network namespace for " + self.name)
            time.sleep(0.01)
        command("nsenter", "--net=" + self.ns, "ip", "link", "set", "lo", "up")
        self.kept_log = "%s/%s.log" % (world.dir, self.name)
        self.frozen = self.full = False
        self.failed_starts = 0
        self.stale_allowed = 0  # a deadline that is stored has passed, by a clock that was set forward meanwhile
        super().__init__(world, name="disk-%d/verifier" % number, listen="tcp://0.0.0.0:%d" % PORT,
                         options=["--heartbeat", "5s", "--deadline", "%ds" % DEADLINE],
                         inside=["nsenter", "--net=" + self.ns] + self.clock.env)

    def start(self):
        self.log = self.kept_log  # not on the disk that gets full
        super().start()
        if self.clock.begin() > DEADLINE / 2:
            self.stale_allowed += len(self.bench.hosts)

    def up(self):
        return self.process.alive()

    def try_start(self):
        """As a service manager would: False when it did not start, to be tried again."""
        try:
            self.start()
        except Failure:
            self.failed_starts += 1
            if self.failed_starts > 200:
                raise
            return False
        return True

    def freeze(self, on):
        self.frozen = on
        with contextlib.suppress(ProcessLookupError):
            self.process.p.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def used(self):
        s = os.statvfs(self.disk)
        return (s.f_blocks - s.f_bfree) * s.f_frsize

    def fill_disk(self, on):
        """Full: it is made as small as what is on it, page by page while that grows."""
        self.full = on
        for _ in range(50):
            try:
                command("mount", "-o", "remount,size=%d" % (self.used() if on else DISK), self.disk)
                return
            except Failure:
                continue
        raise Failure("the disk of %s does not get full" % self.name)

    def nice(self, n):
        with contextlib.suppress(OSError):  # it may be dead by now
            for task in os.listdir("/proc/%d/task" % self.process.p.pid):
                os.setpriority(os.PRIO_PROCESS, int(task), n)


class Host:
    """One attester over its boots."""

    def __init__(self, world, number, steady):
        self.world, self.number, self.steady = world, number, steady
        self.label = "host-%d" % number
        self.dir = os.path.join(world.dir, self.label)
        os.mkdir(self.dir)
        self.clock = Clock("%s/clock" % self.dir)
        self.tpm = Tpm(self.dir, banks=BANKS)
        self.links = {}       # by verifier number
        self.boot = None
        self.out = None
        self.collector = None
        self.stored = 0
        self.held = self.frozen = False
        self.off = False
        self.met = set()      # verifiers that have proof of this boot

    def begin(self):
        """Another boot: a new list, from its first entry."""
        number = self.boot.number + 1 if self.boot else 1
        if self.out:
            self.out.close()
            os.unlink(self.source)
        self.source = "%s/boot-%d.bin" % (self.dir, number)
        self.out = open(self.source, "ab")
        self.boot = Boot(self.world.seed, self.label, number, self.world.rare)
        self.stored = 0
        self.met = set()
        self.off = False
        urls = ["tcp://%s:%d" % (self.world.address(self, v)[1], PORT) for v in self.world.guards]
        self.collector = Collector(self.world, urls, self.source, name=self.label, tpm=self.tpm, inside=self.clock.env)

    def freeze(self, on):
        self.frozen = on
        with contextlib.suppress(ProcessLookupError):
            self.collector.process.p.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def kill_collector(self):
        self.frozen = False
        self.collector.kill()

    def power_off(self):
        self.off = True
        self.kill_collector()
        if self.tpm.process.alive():
            self.tpm.process.kill()


class World:
    """The whole thing. What the library's Verifier and Collector call a bench."""

    def __init__(self, folder, seed, hosts, verifiers, rare):
        self.dir, self.seed, self.rare = folder, seed, rare
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.policy = folder + "/policy.json"
        write_policy(self.policy, Boot.KNOWN)
        command("ip", "link", "set", "lo", "up")
        self.tpm = None
        self.links = Links(seed)
        self.hosts = []
        self.guards = [Guard(self, i + 1, steady=i == verifiers - 1) for i in range(verifiers)]
        self.hosts = [Host(self, i + 1, steady=i == hosts - 1) for i in range(hosts)]
        for h in self.hosts:
            for v in self.guards:
                self.connect(h, v)
        self.links.start()

    def address(self, host, guard):
        net = "10.%d.%d." % (host.number, guard.number)
        return net + "1", net + "2"

    @staticmethod
    def devices(host, guard):
        return "h%dv%d" % (host.number, guard.number), "v%dh%d" % (guard.number, host.number)

    def connect(self, host, guard):
        (ours, theirs), (near, far) = self.address(host, guard), self.devices(host, guard)
        host.links[guard.number] = self.links.add(near, far)
        inside = ("nsenter", "--net=" + guard.ns)
        command("ip", "link", "set", far, "netns", str(guard.holder.pid))
        command("ip", "addr", "add", ours, "peer", theirs, "dev", near)
        command("ip", "link", "set", near, "up")
        command(*inside, "ip", "addr", "add", theirs, "peer", ours, "dev", far)
        command(*inside, "ip", "link", "set", far, "up")

    def device_up(self, host, guard, on):
        """The host's end of a link: its kernel knows that there is no way."""
        command("ip", "link", "set", self.devices(host, guard)[0], "up" if on else "down")

    def close(self):
        self.links.close()
        for g in self.guards:
            g.holder.kill()
            g.holder.wait()
            subprocess.run(["umount", "-l", g.disk], check=False)
