#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-kernel: what the hooks cost on a real kernel (6.1 in the guest lab), and what executions wait while the TPM quotes.
Four minutes. README.md says what each figure is.

usage: kernel.py [cost|interference]...
Leaves in build/bench: results.jsonl (appended), kernel.json (all figures).
"""

import collections
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from latency_rig import EXTEND, QUOTE, quantiles  # noqa: E402
from results import OUT, TOP, Results  # noqa: E402

GATE = 3  # per cent of a measured execution
PROGRAMS = ("/bin/true", "/bin/grep", "/bin/tar", "/bin/bash")  # 35 KiB, 200 KiB, 520 KiB, 1.2 MiB in Debian 12
BLOCKS, COPIES = 6, 8
# of what a measurement consists, in the order of the calls
PARTS = ("ima_collect_measurement", "ima_add_template_entry", "tpm_pcr_extend")
QUOTE_MS, EXTEND_MS = 70, 5  # of the slow TPM: an ECDSA P-256 quote and an extend of a mid-range discrete TPM
SECONDS, RATE = 25, 10  # of interference: a steady stream of executions
DUTY, NO_CAP = 20, 100  # the default of --duty, its maximum
CREATE_PRIMARY = 0x131  # TPM 2.0 Library part 2, 6.5.2: a collector starts


def say(text):
    print(text, flush=True)


def guest(name, script, out, *options):
    argv = [TOP + "/tests/vm/run", "--name", name, "--timeout", "240", "--out", out]
    argv += ["--bin", TOP + "/build/default/tests/bench/kernel_tool", *options, "--", TOP + "/tests/vm/guest/" + script]
    r = subprocess.run(argv, capture_output=True, text=True, check=False)
    if r.returncode:
        sys.exit("kernel: the guest ended with status %d: %s" % (r.returncode, (r.stdout + r.stderr)[-2000:]))
    with open(out + "/kernel", encoding="utf-8") as f:
        return f.read().strip()


# --- what the hooks cost -------------------------------------------------------------------------------------------------


def cost(work):
    out, tools = work + "/cost", []
    for p in PROGRAMS:
        tools += ["--bin", "%s:%s" % (shutil.which(os.path.basename(p)) or p, p)]
    kernel = guest("cost", "cost", out, *tools, "--env", "BLOCKS=%d" % BLOCKS, "--env", "COPIES=%d" % COPIES, "--env",
                   "PROGRAMS=" + " ".join(PROGRAMS), "--env", "PARTS=" + " ".join(PARTS), "--mem", "768", "--disk", "256")
    times = collections.defaultdict(list)  # (block, round, kind, program): nanoseconds
    hooks = collections.defaultdict(list)  # (kind, hook): runs and nanoseconds of each execution
    with open(out + "/rounds", encoding="utf-8") as f:
        for line in f:
            what, *rest = line.split()
            if what == "exec":
                block, name, kind, program, ns = rest
                times[int(block), name, kind, program].append(int(ns))
            elif what == "bpf":
                hooks[rest[1], rest[2]].append((int(rest[3]), int(rest[4])))
    return {"kernel": kernel, "programs": {p: os.path.getsize(p) for p in PROGRAMS},
            "again": compare(times, "again"), "new": compare(times, "new"),
            # the median of executions: the mean has those in which the emulator itself had to wait for a processor
            "hooks": {"%s %s" % key: {"execs": len(v), "runs": sum(runs for runs, _ in v), "us": statistics.median(ns for _, ns in v) / 1e3,
                                      "mean_us": statistics.mean(ns for _, ns in v) / 1e3} for key, v in hooks.items()},
            "parts": parts(out + "/trace")}


def compare(times, kind):
    """Medians of rounds, microseconds. A difference is that of attached to the mean of the detached rounds before and behind it; the
    spread is what these two detached rounds differ by, for three of four blocks."""
    d = {}
    for p in PROGRAMS + ("all",):
        rounds = collections.defaultdict(list)
        for b in range(BLOCKS):
            for name in ("detached-1", "attached", "detached-2", "counted"):
                us = [statistics.median(times[b, name, kind, q]) / 1e3 for q in (PROGRAMS if p == "all" else (p,))]
                rounds[name].append(sum(us))  # all: one execution of each program
        before, attached, behind = rounds["detached-1"], rounds["attached"], rounds["detached-2"]
        spread = sorted(abs(x - y) for x, y in zip(before, behind))
        d[p] = {"detached": statistics.median(before + behind), "attached": statistics.median(attached),
                "difference": statistics.median(a - (x + y) / 2 for x, a, y in zip(before, attached, behind)),
                "spread": spread[-(-len(spread) * 3 // 4) - 1], "rounds": rounds}
    return d


def parts(path):
    """program: function: median microseconds, from the function graph; hooks detached."""
    found, program = {}, None
    if not os.path.exists(path):
        return found
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            mark = re.search(r"/\* program (\S+) \*/", line)
            if mark:
                program = mark.group(1)
            end = re.search(r"([0-9.]+) us +\| +(?:\} /\* (\w+)|(\w+)\(\);)", line)
            if end and program:
                found.setdefault(program, collections.defaultdict(list))[end.group(2) or end.group(3)].append(float(end.group(1)))
    return {p: {name: statistics.median(v) for name, v in sorted(t.items())} for p, t in found.items()}


# --- interference --------------------------------------------------------------------------------------------------------


def interference(work):
    root = work + "/interference"
    os.mkdir(root)
    r, at = random.Random(3), 0
    with open(root + "/schedule", "w", encoding="utf-8") as f:
        while at < SECONDS * 1000:
            f.write("%.3f 1\n" % at)
            at += r.expovariate(RATE / 1000)
    with open(root + "/schedule", encoding="utf-8") as f:
        n = len(f.readlines())
    with open(root + "/warm-up-schedule", "w", encoding="utf-8") as f:
        f.write("0 20\n")
    parts_ = ["none"] + ["duty%d" % duty for duty in (DUTY, NO_CAP)]
    argv = ["--file", root + "/schedule:/root/schedule", "--file", root + "/warm-up-schedule:/root/warm-up"]
    for name in parts_ + ["warm-up"]:
        os.mkdir("%s/%s" % (root, name))
        argv += ["--file", "%s/%s:/opt/%s" % (root, name, name)]
        for i in range(1, (20 if name == "warm-up" else n) + 1):
            path = "%s/%s/job-%d" % (root, name, i)
            shutil.copy("/bin/true", path)
            with open(path, "ab") as f:
                f.write(b"%s %d" % (name.encode(), i))
    with open(root + "/policy.json", "w", encoding="utf-8") as f:
        json.dump({"meta": {"version": 1}, "release": 0, "digests": {"/nothing": ["0" * 64]}, "excludes": [], "keyrings": {},
                   "ima": {"ignored_keyrings": [], "log_hash_alg": "sha1", "dm_policy": None}, "ima-buf": {},
                   "verification-keys": ""}, f)
    for program in ("bin/imastream-collector", "bin/imastream-verifier", "default/tests/bench/latency_tool"):
        argv += ["--bin", TOP + "/build/" + program]
    trace = root + "/trace"
    argv += ["--file", root + "/policy.json:/root/policy.json", "--env", "DUTIES=%d %d" % (DUTY, NO_CAP), "--tpm-delay",
             "quote=%g,extend=%g,trace=%s" % (QUOTE_MS, EXTEND_MS, trace)]
    guest("interference", "interference", root + "/out", *argv)
    d = {"quote_ms": QUOTE_MS, "extend_ms": EXTEND_MS, "rate": RATE, "executions": n}
    for name, tpm in zip(parts_, tpm_of_parts(trace, n)):
        ns = []
        with open("%s/out/%s.exec" % (root, name), encoding="utf-8") as f:
            for line in f:
                _, before, after = line.split()
                ns.append(int(after) - int(before))
        if len(ns) != n:
            sys.exit("kernel: %s: %d executions of %d" % (name, len(ns), n))
        d[name] = dict(quantiles(ns), mean=statistics.mean(ns) / 1e6, tpm=tpm, samples=sorted(x / 1e6 for x in ns))
        if name != "none":
            counts = []
            for when in ("before", "after"):
                with open("%s/out/%s.%s" % (root, name, when), encoding="utf-8") as f:
                    counts.append(json.load(f))
            d[name]["quotes"] = counts[1]["quotes"] - counts[0]["quotes"]
    usual = d["none"]["p99"]
    for name in parts_:
        d[name]["delayed"] = sum(x > usual for x in d[name]["samples"]) / n
    return d


def tpm_of_parts(path, n):
    """What the TPM did in each part, from its own trace: a part is from the n-th last extend before the next collector starts."""
    commands = []
    with open(path, encoding="ascii") as f:
        for line in f:
            code, came, answered, rc = line.split()
            commands.append((int(code, 16), int(came), int(answered), int(rc, 16)))
    starts = [i for i, c in enumerate(commands) if c[0] == CREATE_PRIMARY]
    # a collector's own start-up has several close together, without an execution of the schedule in between
    ends = [i for k, i in enumerate(starts) if k == 0 or sum(c[0] == EXTEND for c in commands[starts[k - 1]:i]) >= n]
    for end in ends + [len(commands)]:
        extends = [c for c in commands[:end] if c[0] == EXTEND][-n:]
        first, last = extends[0][1], extends[-1][2]
        quotes = [c[2] - c[1] for c in commands[:end] if c[0] == QUOTE and c[3] == 0 and first <= c[1] <= last]
        yield {"seconds": (last - first) / 1e9, "quotes": len(quotes), "share": sum(quotes) / (last - first),
               "quote_ms": statistics.median(quotes) / 1e6 if quotes else None,
               "extend_ms": statistics.median(c[2] - c[1] for c in extends) / 1e6,
               "commands": len([c for c in commands[:end] if first <= c[1] <= last])}


# --- results -------------------------------------------------------------------------------------------------------------


def judge_cost(r, d):
    new, again = d["new"], d["again"]
    run_us = sum(h["us"] for name, h in d["hooks"].items() if name.startswith("new "))
    for p in PROGRAMS:
        us = new[p]["detached"]
        r.add("hooks-of-exec-" + os.path.basename(p), 100 * run_us / us, "%", GATE, "measured-exec", run_us / us)
    measurement = new["all"]["detached"] - again["all"]["detached"]
    r.add("hooks-of-measurement", 100 * len(PROGRAMS) * run_us / measurement, "%", None, "measurement",
          len(PROGRAMS) * run_us / measurement)
    for name, h in sorted(d["hooks"].items()):
        if name.startswith("new "):
            r.add(name.split()[1].replace("_", "-"), h["us"], "us")
    whole = new["all"]
    # no gate: it says something only where the difference is larger than the spread
    r.add("attached-to-detached", 100 * whole["difference"] / whole["detached"], "%", None, "detached-spread",
          whole["difference"] / whole["spread"])
    r.add("again-hook-runs", sum(h["runs"] for name, h in d["hooks"].items() if name.startswith("again ")), "", 0)
    whole = again["all"]
    r.add("again-attached-to-detached", whole["difference"], "us", whole["spread"], "detached", whole["difference"] / whole["detached"])


def judge_interference(r, d):
    none, capped, free = d["none"], d["duty%d" % DUTY], d["duty%d" % NO_CAP]
    r.add("no-quotes-exec-p50", none["p50"], "ms")
    r.add("no-quotes-exec-p99", none["p99"], "ms")
    for name, m in (("capped", capped), ("not-capped", free)):
        r.add(name + "-exec-p50", m["p50"], "ms", None, "no-quotes", m["p50"] / none["p50"])
        # whoever comes while a quote runs waits for its end, and not for another one
        r.add(name + "-exec-p99", m["p99"], "ms", none["p99"] + m["tpm"]["quote_ms"] if m is capped else None, "no-quotes",
              m["p99"] / none["p99"])
        r.add(name + "-exec-delayed", 100 * m["delayed"], "%")
        r.add(name + "-quote-share", 100 * m["tpm"]["share"], "%", DUTY if m is capped else None)


def table_cost(d):
    say("\nLinux %s; microseconds; a measured execution and one that is measured already; difference: hooks attached to detached" %
        d["kernel"])
    say("  %-10s %8s %10s %10s %9s | %10s %10s %9s | %s" % ("", "KiB", "measured", "difference", "spread", "again", "difference",
                                                          "spread", "of the measurement: " + " ".join(PARTS)))
    for p in PROGRAMS:
        n, a, t = d["new"][p], d["again"][p], d["parts"].get(p, {})
        say("  %-10s %8.0f %10.0f %10.1f %9.1f | %10.0f %10.1f %9.1f | %s" %
            (os.path.basename(p), d["programs"][p] / 1024, n["detached"], n["difference"], n["spread"], a["detached"],
             a["difference"], a["spread"], " ".join("%.0f" % t[x] if x in t else "-" for x in PARTS)))
    for name, h in sorted(d["hooks"].items()):
        say("  %-18s %6d runs in %6d executions, %6.1f us an execution (median; mean %.1f)" %
            (name, h["runs"], h["execs"], h["us"], h["mean_us"]))


def table_interference(d):
    say("\nA TPM that quotes in %g ms and extends in %g ms; %d executions, %g a second; milliseconds" %
        (d["quote_ms"], d["extend_ms"], d["executions"], d["rate"]))
    say("  %-10s %8s %8s %8s %8s %8s  %-9s %7s %8s" % ("", "p50", "p90", "p99", "max", "mean", "delayed", "quotes", "share"))
    for name in ("none", "duty%d" % DUTY, "duty%d" % NO_CAP):
        m = d[name]
        say("  %-10s %8.1f %8.1f %8.1f %8.1f %8.1f  %6.1f %%  %7d %6.1f %%" %
            (name, m["p50"], m["p90"], m["p99"], m["max"], m["mean"], 100 * m["delayed"], m["tpm"]["quotes"], 100 * m["tpm"]["share"]))


def main():
    wanted = sys.argv[1:] or ["cost", "interference"]
    os.makedirs(OUT, exist_ok=True)
    began = time.monotonic()
    d = {}
    if sys.argv[1:] and os.path.exists(OUT + "/kernel.json"):  # the other half stays
        with open(OUT + "/kernel.json", encoding="utf-8") as f:
            d = json.load(f)
    d |= {"cores": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 1), "date": time.strftime("%Y-%m-%d", time.gmtime())}
    say("%d processors, load %.1f before the start; emulated guest: compare ratios only" % (d["cores"], d["load"]))
    results = Results("kernel-")
    with tempfile.TemporaryDirectory(prefix="imastream-kernel-") as work:
        if "cost" in wanted:
            d["cost"] = cost(work)
            table_cost(d["cost"])
            judge_cost(results, d["cost"])
        if "interference" in wanted:
            d["interference"] = interference(work)
            table_interference(d["interference"])
            judge_interference(results, d["interference"])
    d["load_end"], d["seconds"] = round(os.getloadavg()[0], 1), round(time.monotonic() - began)
    results.write()
    d["results"] = results.rows
    with open(OUT + "/kernel.json", "w", encoding="utf-8") as f:
        json.dump(d, f)
    say("appended to build/bench/results.jsonl; figures in build/bench/kernel.json; %d s" % d["seconds"])
    return 1 if results.missed else 0


if __name__ == "__main__":
    sys.exit(main())
