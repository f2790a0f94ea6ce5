#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-latency: time from measurement to reported and to proven, event mode against poll mode, on this machine and in a
guest with a real kernel; slow TPMs; idleness. About four minutes. README.md says what each figure is.

usage: latency.py [--no-guest] [--only-plots]
Leaves in build/bench: results.jsonl (appended), latency.json (all figures), latency-*.svg and .png.
"""

import contextlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from latency_rig import quantiles  # noqa: E402
import latency_plot  # noqa: E402
from results import OUT, TOP, Results  # noqa: E402

POLLS = (1, 2, 10)
TPMS = ((20, "1s"), (70, "1s"), (200, "2s"))  # milliseconds of a quote, --max-proof-delay
EXTEND_MS = 3  # hardware: 3 to 10
BATCH_AGE_MS = 2  # the default of --batch-age
BURST_QUOTES, DUTY = 60, 0.20


def say(text):
    print(text, flush=True)


class Parts:
    """Scenarios, each a process of its own with a file for its result; all end with us."""

    def __init__(self, work):
        self.work, self.running = work, {}

    def start(self, name, scenario, *arguments, disk=False):
        out = "%s/%s.json" % (self.work, name)
        env = dict(os.environ)
        if not disk and os.path.isdir("/dev/shm"):
            env["TMPDIR"] = "/dev/shm"
        argv = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-B", HERE + "/latency_rig.py", scenario, out]
        self.running[name] = (subprocess.Popen(argv + [str(a) for a in arguments], env=env), out)

    def end(self, name):
        process, out = self.running.pop(name)
        if process.wait():
            sys.exit("latency: %s failed, see above" % name)
        with open(out, encoding="utf-8") as f:
            return json.load(f)

    def run(self, name, *arguments, **options):
        self.start(name, *arguments, **options)
        return self.end(name)


def schedule(path, seconds, singles, bursts, size, seed):
    """Singles at random times, some bursts: the same for every mode. A line each: milliseconds since the start, how many."""
    r = random.Random(seed)
    at = [(r.uniform(0, seconds * 1000), 1) for _ in range(singles)]
    at += [(r.uniform(0.1, 0.9) * seconds * 1000, size) for _ in range(bursts)]
    with open(path, "w", encoding="utf-8") as f:
        for ms, n in sorted(at):
            f.write("%.3f %d\n" % (ms, n))
    return singles + bursts * size


# --- the guest -----------------------------------------------------------------------------------------------------------


def guest(work):
    """Everything in one guest, with its clock: latency_tool's times of each execution, and of each line of events."""
    root = work + "/guest"
    os.mkdir(root)
    n = schedule(root + "/schedule", 15, 50, 2, 10, 7)
    for mode in ("event", "poll"):
        os.mkdir("%s/%s" % (root, mode))
        for i in range(1, n + 1):
            path = "%s/%s/job-%d" % (root, mode, i)
            shutil.copy("/bin/true", path)
            with open(path, "ab") as f:
                f.write(b"%s %d" % (mode.encode(), i))
    with open(root + "/policy.json", "w", encoding="utf-8") as f:
        json.dump({"meta": {"version": 1}, "release": 0, "digests": {"/nothing": ["0" * 64]}, "excludes": [],
                   "keyrings": {}, "ima": {"ignored_keyrings": [], "log_hash_alg": "sha1", "dm_policy": None}, "ima-buf": {},
                   "verification-keys": ""}, f)
    argv = [TOP + "/tests/vm/run", "--name", "latency", "--timeout", "180", "--out", root + "/out"]
    for program in ("bin/imastream-collector", "bin/imastream-verifier", "default/tests/bench/latency_tool"):
        argv += ["--bin", TOP + "/build/" + program]
    for name, to in (("event", "/opt/event"), ("poll", "/opt/poll"), ("schedule", "/root/schedule"),
                     ("policy.json", "/root/policy.json")):
        argv += ["--file", "%s/%s:%s" % (root, name, to)]
    argv += ["--env", "POLLS=%s" % " ".join(map(str, POLLS)), "--", TOP + "/tests/vm/guest/latency"]
    r = subprocess.run(argv, capture_output=True, text=True, check=False)
    if r.returncode:
        sys.exit("latency: the guest ended with status %d: %s" % (r.returncode, (r.stdout + r.stderr)[-2000:]))
    modes = {name: guest_mode(root + "/out", name) for name in ["event"] + ["poll-%d" % s for s in POLLS]}
    with open(root + "/out/kernel", encoding="utf-8") as f:
        return {"kernel": f.read().strip(), "modes": modes}


def guest_mode(out, name):
    started, done, seen = {}, {}, {"finding": {}, "finding-proven": {}}
    with open("%s/%s.exec" % (out, name.split("-")[0]), encoding="utf-8") as f:
        for line in f:
            path, before, after = line.split()
            started[path], done[path] = int(before), int(after)
    said = {}
    with open("%s/%s.seen" % (out, name), encoding="utf-8") as f:
        for line in f:
            ns, _, event = line.partition(" ")
            event = json.loads(event)
            if event.get("path") in started and event["event"] in seen:
                seen[event["event"]][event["path"]] = int(ns)
                if event["event"] == "finding-proven":
                    said[event["path"]] = event["reported_ms"]
    for kind, paths in seen.items():
        if set(paths) != set(started):
            sys.exit("latency: guest, %s: %d %s events for %d executions" % (name, len(paths), kind, len(started)))
    counts = []
    for when in ("before", "after"):
        with open("%s/%s.%s" % (out, name, when), encoding="utf-8") as f:
            counts.append(json.load(f))
    value = lambda f: round(f(counts[1]) - f(counts[0]), 3)  # noqa: E731
    return {
        "entries": len(started), "quotes": value(lambda c: c["quotes"]),
        # from the call of execve, which is before the measurement: what stands here is never too small
        "reported": quantiles([seen["finding"][p] - started[p] for p in started]),
        "proven": quantiles([seen["finding-proven"][p] - started[p] for p in started]),
        "said_reported": quantiles([said[p] * 1e6 for p in said if said[p] is not None]),
        "exec": quantiles([done[p] - started[p] for p in started]),
        "counters": {"cpu_ms": value(lambda c: c["cpu_us"] / 1000), "sent": value(lambda c: c["wire"]["bytes_sent"]),
                     "received": value(lambda c: c["wire"]["bytes_received"])},
        "samples": sorted([(seen["finding"][p] - started[p]) / 1e6, (seen["finding-proven"][p] - started[p]) / 1e6]
                          for p in started),
    }


# --- what the machine is like --------------------------------------------------------------------------------------------


def machine():
    model = "unknown"
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), model)
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "load": round(os.getloadavg()[0], 1), "date": time.strftime("%Y-%m-%d", time.gmtime())}


def yardsticks(work):
    """What the machine itself needs to wake a process and to put 4 KiB on the disk."""
    wake, sync = [], []
    with open(work + "/sync", "wb", buffering=0) as f:
        for _ in range(100):
            t = time.monotonic_ns()
            time.sleep(0.002)
            wake.append(time.monotonic_ns() - t - 2000000)
            f.write(b"x" * 4096)
            t = time.monotonic_ns()
            os.fdatasync(f.fileno())
            sync.append(time.monotonic_ns() - t)
    return {"wake": quantiles(wake), "fdatasync": quantiles(sync)}


# --- results -------------------------------------------------------------------------------------------------------------


def seconds(text):
    return float(text.rstrip("s"))


def judge(d):
    r = Results("latency-")
    ev, polls = d["native"]["event"], {s: d["native"]["poll-%d" % s] for s in POLLS}
    for kind in ("reported", "proven"):
        r.add("native-event-%s-p50" % kind, ev[kind]["p50"], "ms", None, "poll-2s", ev[kind]["p50"] / polls[2][kind]["p50"])
        r.add("native-event-%s-p99" % kind, ev[kind]["p99"], "ms", 5 if kind == "reported" else None, "poll-2s",
              ev[kind]["p99"] / polls[2][kind]["p99"])
    for name, t in d["tpm"].items():
        window = BATCH_AGE_MS + 2 * t["isolated"]["quote_ms"]["p50"]
        p99 = t["isolated"]["proven"]["p99"]
        r.add("%s-isolated-reported-p99" % name, t["isolated"]["reported"]["p99"], "ms", 5 if name == "native" else None)
        r.add("%s-isolated-proven-p99" % name, p99, "ms", 1.1 * window, "window+2quotes", p99 / window)
        delay = seconds(t["max_proof_delay"]) * 1000
        worst = max(t[p]["proven"]["max"] for p in ("isolated", "burst-100", "burst-1000", "burst-10000", "steady"))
        r.add("%s-proven-max" % name, worst, "ms", delay, "max-proof-delay", worst / delay)
        r.add("%s-burst-10000-quotes" % name, t["burst-10000"]["quotes"], "quotes", BURST_QUOTES)
        r.add("%s-steady-quote-share" % name, 100 * t["steady"]["tpm_share"], "%", 100 * DUTY)
    disk = d["disk"]["isolated"]
    r.add("disk-isolated-reported-p99", disk["reported"]["p99"], "ms", None, "fdatasync-p99",
          disk["reported"]["p99"] / max(d["yardsticks"]["fdatasync"]["p99"], 0.001))
    r.add("idle-tpm-commands", len(d["idle"]["tpm_times"]), "", 0)
    r.add("idle-wakeups", max(d["idle"]["counters"]["wakeups"], 0), "", 0)
    r.add("idle-system-calls", len(d["idle"]["system_calls"]), "", 0)
    r.add("idle-bytes", d["idle"]["counters"]["sent"] + d["idle"]["counters"]["received"], "B", 0)
    hour = d["hour"]["counters"]
    r.add("idle-hour-tpm-commands", hour["tpm_commands"], "", None)
    r.add("idle-hour-cpu", hour["cpu_ms"], "ms", None)
    r.add("idle-hour-bytes", hour["sent"] + hour["received"], "B", None)
    if "guest" in d:
        g = d["guest"]["modes"]
        for kind in ("reported", "proven"):
            for q in ("p50", "p99"):
                r.add("guest-event-%s-%s" % (kind, q), g["event"][kind][q], "ms", None, "poll-2s",
                      g["event"][kind][q] / g["poll-2"][kind][q])
        r.add("guest-event-exec-p50", g["event"]["exec"]["p50"], "ms", None, "polling",
              g["event"]["exec"]["p50"] / g["poll-2"]["exec"]["p50"])
    return r


def table(d):
    rows = ["%-14s %7s  %-31s  %-31s %6s %7s %8s  %s" %
            ("", "entries", "reported p50/p90/p99/max ms", "proven p50/p90/p99/max ms", "quotes", "cpu ms", "wire B",
             "exec p50/p99 ms")]
    q = lambda v: "/".join("%.3g" % v[k] for k in ("p50", "p90", "p99", "max"))  # noqa: E731

    def row(name, m):
        c = m["counters"]
        rows.append("%-14s %7d  %-31s  %-31s %6d %7.0f %8d  %.3g/%.3g" %
                    (name, m["entries"], q(m["reported"]), q(m["proven"]), m["quotes"], c["cpu_ms"],
                     c["sent"] + c["received"], m["exec"]["p50"], m["exec"]["p99"]))
    for where, modes in [("native", d["native"])] + ([("guest", d["guest"]["modes"])] if "guest" in d else []):
        for name, m in modes.items():
            row("%s %s" % (where, name), m)
    for name, t in d["tpm"].items():
        for phase in ("isolated", "burst-100", "burst-1000", "burst-10000", "steady"):
            row("%s %s" % (name, phase.replace("burst-", "burst ")), t[phase])
    return rows


def measure(with_guest):
    began = time.monotonic()
    step = lambda text: say("%4.0f s  %s" % (time.monotonic() - began, text))  # noqa: E731
    d = {"machine": machine(), "native": {}, "tpm": {}, "extend_ms": EXTEND_MS}
    with tempfile.TemporaryDirectory(prefix="imastream-latency-", dir=os.environ.get("TMPDIR")) as work:
        parts = Parts(work)
        plan = work + "/schedule"
        schedule(plan, 20, 250, 2, 25, 5)
        d["yardsticks"] = yardsticks(work)
        step("event mode, native")
        d["native"]["event"] = parts.run("event", "modes", "event", "-", plan)
        step("isolated events, bursts, a steady stream; native")
        d["tpm"]["native"] = parts.run("native", "load", 0, 0, "1s", 100, 10)
        step("isolated events, store on the disk")
        d["disk"] = parts.run("disk", "alone", 60, disk=True)
        step("poll mode, native; slow TPMs; idleness")
        for s in POLLS:
            parts.start("poll-%d" % s, "modes", "poll", "%ds" % s, plan)
        for quote, delay in TPMS:
            parts.start("tpm%d" % quote, "load", quote, EXTEND_MS, delay, 15, 15)
        parts.start("idle", "idle", 40, "600s")
        parts.start("hour", "idle", 60, "1s")
        for s in POLLS:
            d["native"]["poll-%d" % s] = parts.end("poll-%d" % s)
        if with_guest:
            step("event mode and poll mode in a guest with a real kernel")
            d["guest"] = guest(work)
        for quote, _ in TPMS:
            d["tpm"]["tpm%d" % quote] = parts.end("tpm%d" % quote)
        d["idle"], d["hour"] = parts.end("idle"), parts.end("hour")
        step("done")
    d["machine"]["load_end"] = round(os.getloadavg()[0], 1)
    d["machine"]["seconds"] = round(time.monotonic() - began)
    return d


def main():
    os.makedirs(OUT, exist_ok=True)
    if "--only-plots" in sys.argv:
        with open(OUT + "/latency.json", encoding="utf-8") as f:
            d = json.load(f)
    else:
        d = measure("--no-guest" not in sys.argv)
    results = judge(d)
    d["results"] = results.rows
    if "--only-plots" not in sys.argv:
        with open(OUT + "/latency.json", "w", encoding="utf-8") as f:
            json.dump(d, f)
    m = d["machine"]
    say("\n%s, %d processors, Linux %s, load %.1f at the start, %.1f at the end" %
        (m["processor"], m["cores"], m["kernel"], m["load"], m["load_end"]))
    say("\n".join(table(d)))
    results.write(append="--only-plots" not in sys.argv)
    latency_plot.draw(d, OUT)
    say("appended to build/bench/results.jsonl; figures in build/bench/latency.json; plots build/bench/latency-*.svg, .png")
    return 1 if results.missed else 0


if __name__ == "__main__":
    sys.exit(main())
