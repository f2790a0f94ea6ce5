# SPDX-License-Identifier: Apache-2.0
"""What must be true: findings once, counts and registers equal, nothing un-acknowledged, memory flat."""

import collections
import contextlib
import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import takes_signals  # noqa: E402

KEPT = 20000  # events by number that are remembered, to see that one repeated after a kill is the same one
QUIET = {"started", "stopped", "enrolled", "state", "rebooted", "clock-unsafe"}
SAME = ("event", "attester", "entry", "reason", "path")


class Problem(Exception):
    pass


class Events:
    """Follows a verifier's events file. Only what open boots need is kept."""

    def __init__(self, guard, hosts):
        self.guard, self.name = guard, guard.name
        self.hosts = {h.label: h for h in hosts}
        self.at, self.rest = 0, b""
        self.seen = collections.OrderedDict()  # number: what it said
        self.newest = 0
        self.torn = 0
        self.open = {}     # (label, boot): {"finding": {entry: (path, reason)}, "finding-proven": ...}
        self.counts = collections.Counter()
        self.rebooted = collections.Counter()
        self.closed = {}   # label: newest boot whose books are closed

    def read(self):
        with open(self.guard.event_file, "rb") as f:
            f.seek(self.at)
            while True:
                data = f.read(1 << 20)
                if not data:
                    return
                self.at += len(data)
                lines = (self.rest + data).split(b"\n")
                self.rest = lines.pop()
                for line in lines:
                    self.line(line)

    def line(self, line):
        try:
            e = json.loads(line)
        except ValueError:  # cut by a kill or a full disk; what follows it in this line is told again
            self.torn += 1
            return
        said = tuple(e.get(k) for k in SAME)
        old = self.seen.get(e["seq"])
        if old:
            if old != said:
                raise Problem("%s: two events with number %d: %s and %s" % (self.name, e["seq"], old, said))
            self.counts["told again after a kill"] += 1
            return
        if e["seq"] <= self.newest - KEPT:
            raise Problem("%s: event %d again, after %d" % (self.name, e["seq"], self.newest))
        self.seen[e["seq"]] = said
        self.newest = max(self.newest, e["seq"])
        if len(self.seen) > KEPT:
            self.seen.popitem(last=False)
        self.take(e)

    def take(self, e):
        kind = e["event"]
        self.counts[kind] += 1
        if kind in ("finding", "finding-proven"):
            self.finding(e, kind)
        elif kind == "rebooted":
            self.rebooted[e["label"]] += 1
        elif kind == "recovered" or kind == "state" and e["state"] == "stale":
            if self.counts["stale"] + (kind == "state") > self.guard.stale_allowed:
                raise Problem("%s: stale, and nobody was silent for so long: %s" % (self.name, e))
            self.counts["stale"] += kind == "state"
            return
        elif kind not in QUIET:
            raise Problem("%s: an event that nothing should have caused: %s" % (self.name, e))
        if kind == "state" and e["state"] not in ("trusted", "warning", "untrusted") and not self.reboots(e):
            raise Problem("%s: a state that nothing should have caused: %s" % (self.name, e))

    def reboots(self, e):
        """A boot that began while there was no way to the verifier has more entries than its first quote carries: until the last of them
        is there, the host is rebooting."""
        return e["state"] == "rebooting" and self.rebooted[e["label"]] < self.hosts[e["label"]].boot.number - 1

    def finding(self, e, kind):
        label, boot = e["label"], e["boot"]
        if boot <= self.closed.get(label, 0):
            raise Problem("%s: a finding of a boot that is over: %s" % (self.name, e))
        book = self.open.setdefault((label, boot), {"finding": {}, "finding-proven": {}})[kind]
        n, what = e.get("entry"), (e.get("path"), e["reason"])
        if n in book:
            raise Problem("%s: %s twice: %s" % (self.name, kind, e))
        host = self.hosts[label]
        if boot == host.boot.number and host.boot.planted.get(n) != what:
            raise Problem("%s: a finding that was not planted: %s" % (self.name, e))
        book[n] = what

    def of(self, host):
        return self.open.get((host.label, host.boot.number), {"finding": {}, "finding-proven": {}})

    def check(self, host, stored, proven):
        """Everything that was planted in the first `stored` entries was reported, in the first `proven` proven."""
        for kind, until in (("finding", stored), ("finding-proven", proven)):
            seen, wanted = self.of(host)[kind], host.boot.planted_until(until)
            if seen != wanted:
                lost = sorted(set(wanted.items()) - set(seen.items()))[:5]
                extra = sorted(set(seen.items()) - set(wanted.items()), key=str)[:5]
                raise Problem("%s: %s boot %d: of %d entries, %s: %d seen, %d planted; missing %s, not planted %s" %
                              (self.name, host.label, host.boot.number, until, kind, len(seen), len(wanted), lost, extra))

    def close(self, host):
        self.open.pop((host.label, host.boot.number), None)
        self.closed[host.label] = host.boot.number


class Status:
    """What a verifier says of its hosts never goes back, and its PCR 10 is what the independent replay says."""

    def __init__(self, guard, hosts):
        self.guard, self.hosts = guard, hosts
        self.last = {}
        self.checked = 0

    def take(self, attesters):
        for host in self.hosts:
            found = [a for a in attesters if a["label"] == host.label]
            if len(found) > 1:
                raise Problem("%s: %d attesters called %s" % (self.guard.name, len(found), host.label))
            if not found:
                continue
            a, name = found[0], "%s, %s: " % (self.guard.name, host.label)
            before = self.last.get(host.label)
            self.last[host.label] = a
            if before and before["boot"] == a["boot"]:
                for key in ("entries", "proven"):
                    if a[key] < before[key]:
                        raise Problem("%s%s went from %d back to %d" % (name, key, before[key], a[key]))
            if a["boot"] != host.boot.number:
                if a["boot"] > host.boot.number:
                    raise Problem("%sboot %d, there were only %d" % (name, a["boot"], host.boot.number))
                continue
            if a["proven"] > a["entries"] or a["entries"] > host.boot.count:
                raise Problem("%s%d proven, %d stored, %d written" % (name, a["proven"], a["entries"], host.boot.count))
            value = host.boot.value_after(a["proven"])
            if value and a["pcr10"] and a["pcr10"] != {"bank": "sha256", "value": value}:
                raise Problem("%sreplayed PCR 10 after %d entries is %s, expected %s" % (name, a["proven"], a["pcr10"], value))
            self.checked += bool(value and a["pcr10"])
            if a["proven"]:
                host.met.add(self.guard.number)

    def of(self, host):
        a = self.last.get(host.label)
        return a if a and a["boot"] == host.boot.number else None


class Ledger:
    """A collector's own numbers: measured = seen = acknowledged + in flight + waiting, for each verifier."""

    def __init__(self, host):
        self.host = host
        self.stamp = None
        self.asked = None
        self.checked = 0

    def ask(self):
        process = self.host.collector.process
        if not takes_signals(process.p.pid):  # it has only just been started
            return
        if process is not self.asked:  # what an earlier life wrote last says nothing of this one
            with contextlib.suppress(OSError):
                self.stamp = self.stamp_of(os.stat(self.host.collector.stats_file))
        self.asked = process
        with contextlib.suppress(ProcessLookupError):
            self.asked.p.send_signal(signal.SIGUSR1)

    @staticmethod
    def stamp_of(st):
        return st.st_ino, st.st_mtime_ns

    def look(self):
        """What it wrote since, checked; None: nothing new, or of an earlier life."""
        if self.asked is not self.host.collector.process:
            return None
        try:
            st = os.stat(self.host.collector.stats_file)
            with open(self.host.collector.stats_file, encoding="utf-8") as f:
                s = json.load(f)
        except (OSError, ValueError):
            return None
        stamp = self.stamp_of(st)
        if stamp == self.stamp:
            return None
        self.stamp = stamp
        self.checked += 1
        for v in s["verifiers"]:
            sum_ = v["acknowledged"] + v["in_flight"] + v["waiting"]
            replaying = s["entries"] < v["acknowledged"]  # a test source is read again from its beginning
            if sum_ != s["entries"] and not replaying:
                raise Problem("%s: %d seen, but %s" % (self.host.label, s["entries"], v))
            if v["acknowledged"] > self.host.boot.count or v["proven"] > v["acknowledged"]:
                raise Problem("%s: %d written, but %s" % (self.host.label, self.host.boot.count, v))
        if not s["entries"] <= s["measured"] <= self.host.boot.count:
            raise Problem("%s: measured %d, seen %d, written %d" %
                          (self.host.label, s["measured"], s["entries"], self.host.boot.count))
        if s["source"]["extend_failures"] or sum(s["drops"].values()):
            raise Problem("%s: drops or failures of extends: %s" % (self.host.label, s))
        return s


HIGHEST = 32 << 10  # KiB: a collector keeps 16 MiB of entries for a verifier that is away (LIMIT_WINDOW_BYTES)


def quarter(values):
    return sorted(values)[len(values) // 4]


class Memory:
    """Anonymous memory of one daemon over time. What a collector keeps for a verifier that is away comes and goes, and daemons that
    are killed begin again, so that what counts is the level to which it returns: the lower quartile of either half."""

    def __init__(self, name, process, steady):
        self.name, self.process, self.steady = name, process, steady
        self.samples = []  # (seconds, KiB): every few seconds, also over an hour that is little
        self.peak = 0

    def sample(self, now):
        try:
            with open("/proc/%d/status" % self.process().p.pid, encoding="ascii") as f:
                text = f.read()
        except OSError:
            return
        m = re.search(r"RssAnon:\s+(\d+)", text)
        if not m:
            return
        self.peak = max(self.peak, int(re.search(r"VmHWM:\s+(\d+)", text)[1]))
        self.samples.append((now, int(m[1])))

    def line(self):
        """(mean KiB, growth KiB over the second half); None: too few samples."""
        if len(self.samples) < 8:
            return None
        begin, end = self.samples[0][0], self.samples[-1][0]
        half = [s for s in self.samples if s[0] >= (begin + end) / 2]
        n = len(half)
        if n < 4:
            return None
        mt, mv = sum(t for t, _ in half) / n, sum(v for _, v in half) / n
        spread = sum((t - mt) ** 2 for t, _ in half)
        slope = sum((t - mt) * (v - mv) for t, v in half) / spread if spread else 0.0
        return mv, slope * (half[-1][0] - half[0][0])

    def verdict(self):
        """A row of the summary. What leaks grows all the time: in level from the first half to the second by more than a tenth, or 1 MiB,
        and by half of that within the second. A step that stays is the allocator's, after the largest thing that there was."""
        line = self.line()
        if not line:
            return {"name": self.name, "samples": len(self.samples), "flat": None, "peak_kib": self.peak}
        mean, growth = line
        minutes = (self.samples[-1][0] - self.samples[0][0]) / 120
        middle = (self.samples[0][0] + self.samples[-1][0]) / 2
        halves = [v for t, v in self.samples if t < middle], [v for t, v in self.samples if t >= middle]
        first, second = (quarter(h) for h in halves)
        highest = max(v for _, v in self.samples)
        allowed = max(1024, first // 10)
        flat = (second <= first + allowed or growth <= allowed / 2) and highest <= HIGHEST
        return {"name": self.name, "samples": len(self.samples), "steady": self.steady, "mean_kib": round(mean),
                "peak_kib": self.peak, "highest_kib": highest, "level_kib": [first, second],
                "growth_kib": round(growth),
                "kib_per_minute": round(growth / max(minutes, 0.01), 1), "flat": flat}
