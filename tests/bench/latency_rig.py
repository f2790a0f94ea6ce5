# SPDX-License-Identifier: Apache-2.0
"""One collector, one verifier, one software TPM at native speed, seen from outside.

usage: latency_rig.py SCENARIO OUT.json [ARGUMENT]...

Nothing here believes the programs under test. When an entry was written: our clock. When it was measured: the TPM's answer to
its PCR extend, noted by the TCTI around it (tests/lib/tcti/slow.c). When it was reported and proven: the moment at
which its line stood in the verifier's events, noted by latency_tool. All three are CLOCK_MONOTONIC of one machine. What
the verifier says itself (reported_ms, proven_ms) is kept beside it.
"""

import contextlib
import json
import os
import re
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import stream  # noqa: E402
from stream_list import h, ima_ng  # noqa: E402

BUILD = os.path.join(HERE, "..", "..", "build", "default", "tests")
QUOTE, EXTEND = 0x158, 0x182  # TPM 2.0 Library part 2, 6.5.2
NS = 1000000000


def quantiles(values):
    """Milliseconds from nanoseconds: the nearest rank."""
    v = sorted(values)
    if not v:
        return None
    at = {q: v[min(len(v) - 1, -(-len(v) * q // 100) - 1)] for q in (50, 90, 99)}
    return {"n": len(v), "p50": at[50] / 1e6, "p90": at[90] / 1e6, "p99": at[99] / 1e6, "max": v[-1] / 1e6}


def share(quotes):
    """Of the TPM's time that quotes take, from the start of the first one to the start of the last one: whole periods."""
    if len(quotes) < 2:
        return 0
    return sum(e - s for s, e in quotes[:-1]) / (quotes[-1][0] - quotes[0][0])


class SlowTpm:
    """The TPM of a bench behind the TCTI that delays and notes."""

    def __init__(self, bench, quote_ms, extend_ms):
        self.trace = bench.dir + "/tpm.trace"
        self.fd = os.open(self.trace, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self.tcti = "slow:quote=%g,extend=%g,trace=%d,inner=%s" % (quote_ms, extend_ms, self.fd, bench.tpm.tcti)

    def commands(self):
        """(sent, answered, code) of all that succeeded."""
        with open(self.trace, "rb") as f:
            data = f.read()
        return [(s, e, code) for s, e, code, rc in struct.iter_unpack("=QQII", data) if rc == 0]


class Rig:
    def __init__(self, name, quote_ms=0, extend_ms=0, options=(), verifier_options=()):
        os.environ.setdefault("IMASTREAM_SEED", "1")
        self.b = stream.Bench(name)
        self.v = stream.Verifier(self.b, options=list(verifier_options))
        self.seen = self.b.dir + "/seen"
        with open(self.seen, "wb") as f:
            self.watch = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", BUILD + "/bench/latency_tool", "watch",
                                           self.v.event_file], stdout=f)
        self.tpm = SlowTpm(self.b, quote_ms, extend_ms)
        os.environ["LD_PRELOAD"] = BUILD + "/libtss2-tcti-slow.so.0"
        try:
            self.c = stream.Collector(self.b, self.v.url, self.b.source, fds=(self.tpm.fd,), tpm=self.tpm,
                                      options=list(options))
        finally:
            del os.environ["LD_PRELOAD"]
        self.written = {}  # number of the entry: when
        self.paths = {}    # path of an entry that the verifier will tell of: its number
        self.write(50, every=0)
        self.settle()

    def write(self, n, every=1):
        """n entries at once; each every-th is a program that nobody knows, so that the verifier tells when it has it."""
        w, data = self.b.workload, []
        for i in range(n):
            if w.count and every and i % every == 0:
                number = w.count + 1
                path = "/opt/load/job-%d" % number
                entry = ima_ng(path, h("sha256", path.encode()))
                w.planted[number] = (path, "digest-unknown")
                self.paths[path] = number
                w.oracle.add(entry)
                data.append(entry.wire)
            else:
                data.append(w.next(False))
        first, now = w.count - n + 1, time.monotonic_ns()
        self.b.out.write(b"".join(data))
        self.b.out.flush()
        for number in range(first, w.count + 1):
            self.written[number] = now
        return first, w.count

    def settle(self, seconds=120):
        self.b.settled(self.v, seconds)
        stream.wait_for("the collector hears it", lambda: self.c.stats()["proven"] == self.b.workload.count, 30)

    def finish(self):
        """Nothing lost, nothing twice, PCR equal to an independent replay; then the raw times of all entries."""
        self.last = self.c.stats()
        time.sleep(0.2)
        self.b.compare(self.v, self.c)
        self.v.stop()
        time.sleep(0.1)
        self.watch.kill()
        self.commands = self.tpm.commands()
        extends = [e for _, e, code in self.commands if code == EXTEND]
        if len(extends) != self.b.workload.count:
            raise stream.Failure("%d extends for %d entries" % (len(extends), self.b.workload.count))
        self.measured = {i + 1: e for i, e in enumerate(extends)}
        self.reported, self.proven, self.said = {}, {}, {}
        with open(self.seen, encoding="utf-8") as f:
            for line in f:
                ns, _, event = line.partition(" ")
                event = json.loads(event)
                number = self.paths.get(event.get("path"))
                if event["event"] == "finding":
                    self.reported[number] = int(ns)
                elif event["event"] == "finding-proven":
                    self.proven[number] = int(ns)
                    self.said[number] = (event["reported_ms"] * 1e6, event["proven_ms"] * 1e6)
        self.b.close()

    def quotes(self, start=0, end=1 << 63):
        return [(s, e) for s, e, code in self.commands if code == QUOTE and start <= s < end]

    def figures(self, first, last, start, end):
        """What entries first..last took; [start, end): the time in which they came and were proven, for the counts."""
        numbers = [n for n in range(first, last + 1) if n in self.reported]
        quotes = self.quotes(start, end)
        return {
            "entries": last - first + 1,
            "quotes": len(quotes),
            "quote_ms": quantiles([e - s for s, e in quotes]),
            "tpm_share": share(quotes),
            "seconds": (end - start) / NS,
            "exec": quantiles([self.measured[n] - self.written[n] for n in numbers]),
            "reported": quantiles([self.reported[n] - self.measured[n] for n in numbers]),
            "proven": quantiles([self.proven[n] - self.measured[n] for n in numbers]),
            "said_reported": quantiles([self.said[n][0] for n in numbers]),
            "said_proven": quantiles([self.said[n][1] for n in numbers]),
        }

    def timeline(self, first, last, start, end):
        """Seconds since `start`, for plots: entries measured and proven, quotes."""
        s = lambda t: round((t - start) / NS, 6)  # noqa: E731
        numbers = [n for n in range(first, last + 1) if n in self.reported]
        return {
            "entries": [[n, s(self.measured[n]), s(self.reported[n]), s(self.proven[n])] for n in numbers],
            "quotes": [[s(a), s(b)] for a, b in self.quotes(start, end)],
        }


def counters(rig):
    s = rig.c.stats()
    return {"cpu_ms": s["cpu_us"] / 1000, "sent": s["wire"]["bytes_sent"], "received": s["wire"]["bytes_received"],
            "wakeups": s["loop_wakeups"], "tpm_commands": s["tpm_commands"]}


def since(after, before):
    return {k: round(after[k] - before[k], 3) for k in after}


def follow(rig, schedule, every=lambda n: 1):
    """Writes what the schedule says: (milliseconds since the start, how many)."""
    start = time.monotonic()
    first = rig.b.workload.count + 1
    for at_ms, n in schedule:
        time.sleep(max(0, start + at_ms / 1000 - time.monotonic()))
        rig.write(n, every(n))
    return first, rig.b.workload.count


# --- scenarios -----------------------------------------------------------------------------------------------------------


def modes(mode, interval, schedule_file):
    """The same workload in event mode or in poll mode."""
    options = ["--mode", mode] + (["--interval", interval] if mode == "poll" else [])
    rig = Rig("modes", options=options)
    with open(schedule_file, encoding="utf-8") as f:
        schedule = [(float(a), int(n)) for a, n in (line.split() for line in f)]
    before, start = counters(rig), time.monotonic_ns()
    first, last = follow(rig, schedule)
    rig.settle()
    end, after = time.monotonic_ns(), counters(rig)
    rig.finish()
    out = rig.figures(first, last, start, end)
    out["counters"] = since(after, before)
    out["samples"] = rig.timeline(first, last, start, end)
    return out


def part(rig, marks, name, do):
    start = time.monotonic_ns()
    before = counters(rig)
    start = time.monotonic_ns()
    first, last = do()
    rig.settle()
    marks[name] = (first, last, start, time.monotonic_ns(), since(counters(rig), before))


def isolated(rig, n, rest):
    schedule, at = [], 0
    for _ in range(n):
        schedule.append((at * 1000, 1))
        at += rest * rig.b.random.uniform(1.0, 1.5)
    return follow(rig, schedule)


def steady(rig, seconds, rate):
    return follow(rig, [(i * 1000 / rate, 1) for i in range(seconds * rate)])


def load(quote_ms, extend_ms, delay, alone, seconds):
    """Isolated events, bursts, a steady 50 a second, at a TPM of that speed."""
    quote_ms, extend_ms, seconds = float(quote_ms), float(extend_ms), int(seconds)
    rig = Rig("load", quote_ms, extend_ms, options=["--max-proof-delay", delay])
    marks = {}
    time.sleep(max(0.1, 8 * quote_ms / 1000))
    part(rig, marks, "isolated", lambda: isolated(rig, int(alone), max(0.05, 6 * quote_ms / 1000)))
    for n in (100, 1000, 10000):
        time.sleep(max(0.1, 5 * quote_ms / 1000))
        part(rig, marks, "burst-%d" % n, lambda n=n: rig.write(n, max(1, n // 500)))
    time.sleep(max(0.1, 5 * quote_ms / 1000))
    part(rig, marks, "steady", lambda: steady(rig, seconds, 50))
    rig.finish()
    out = {"quote_delay": quote_ms, "extend_delay": extend_ms, "max_proof_delay": delay}
    for name, (first, last, start, end, counts) in marks.items():
        if name == "steady":  # until the last entry came: what follows is rest
            end = rig.written[last]
        out[name] = rig.figures(first, last, start, end)
        out[name]["counters"] = counts
        if name != "burst-10000" or quote_ms:
            out[name]["timeline"] = rig.timeline(first, last, start, end)
    return out


def alone(n):
    """Isolated events only."""
    rig, marks = Rig("alone"), {}
    part(rig, marks, "isolated", lambda: isolated(rig, int(n), 0.05))
    rig.finish()
    first, last, start, end, _ = marks["isolated"]
    return {"isolated": rig.figures(first, last, start, end)}


def idle(seconds, heartbeat):
    """Nothing is measured. What the collector does all the same: its counters, TPM commands, and every system call of it."""
    rig = Rig("idle", verifier_options=["--heartbeat", heartbeat, "--deadline", "%ds" % (3 * int(heartbeat.rstrip("s")) + 60)])
    time.sleep(1)
    before = counters(rig)
    calls = rig.b.dir + "/calls"
    strace = subprocess.Popen(["strace", "-f", "-ttt", "-o", calls, "-p", str(rig.c.process.p.pid)],
                              stderr=subprocess.DEVNULL)
    time.sleep(1)
    size, start = os.path.getsize(calls), time.monotonic_ns()
    commands, real = len(rig.tpm.commands()), time.time()
    time.sleep(int(seconds))
    end = time.monotonic_ns()
    with open(calls, encoding="utf-8", errors="replace") as f:
        f.seek(size)
        lines = [line for line in f if re.match(r"\d+ +[\d.]+ ", line)]
    if os.environ.get("IMASTREAM_KEEP"):
        print("".join(lines), end="", file=sys.stderr)
    traced = [float(line.split()[1]) - real for line in lines]
    times = [[(s - start) / NS, code] for s, e, code in rig.tpm.commands()[commands:] if s < end]
    strace.terminate()
    strace.wait()
    after = counters(rig)
    hellos = rig.c.stats()["wire"]["directives"]
    rig.finish()
    after["wakeups"] -= 1  # the question for the counters
    return {"seconds": int(seconds), "heartbeat": heartbeat, "counters": since(after, before), "directives": hellos,
            "system_calls": traced, "tpm_times": times}


def ahead_of_others():
    """Real-time priority, if we may: what else runs on this machine is not what is measured."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def main():
    ahead_of_others()
    scenario = {"modes": modes, "load": load, "alone": alone, "idle": idle}[sys.argv[1]]
    try:
        out = scenario(*sys.argv[3:])
    except stream.Failure as e:
        print("latency %s: %s" % (" ".join(sys.argv[1:]), e), file=sys.stderr)
        sys.exit(2)
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        json.dump(out, f)


if __name__ == "__main__":
    main()
