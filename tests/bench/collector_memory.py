#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-memory: what a collector holds in memory, with and without a reference set of 100,000 files: the real program at
work between a software TPM and a verifier whose policy has them. Resident memory as the kernel counts it (VmRSS), pages of
shared libraries among it; beside it what is its alone (private pages).

usage: collector_memory.py [SCENARIO...]     scenarios: without, with-100k
Appends to build/bench/results.jsonl, or to what IMASTREAM_BENCH_RESULTS names.
"""

import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import stream  # noqa: E402
from stream_list import digest_of, path_of  # noqa: E402

FILES = 100000
SET_BYTES = 12 + 16 * FILES  # docs/WIRE.md, "Reference sets"
# name: (files of the verifier's policy, options of the collector, gate in MiB)
SCENARIOS = {"without": (FILES, ["--reference-max", "0"], 8), "with-100k": (FILES, [], 12)}


def write_policy(path, files):
    digests = {path_of(i): [digest_of(i).hex()] for i in range(files)}
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"meta": {"version": 1}, "release": 0, "digests": digests, "excludes": [], "keyrings": {},
                   "ima": {"ignored_keyrings": [], "log_hash_alg": "sha256", "dm_policy": None}, "ima-buf": {},
                   "verification-keys": ""}, f)


def memory(pid):
    """MiB: resident, the most so far, private, shared libraries' and files' pages, heap and threads."""
    kib = {}
    for name in ("status", "smaps_rollup"):
        with open("/proc/%d/%s" % (pid, name), encoding="utf-8") as f:
            for line in f:
                key, _, rest = line.partition(":")
                if rest.endswith("kB\n"):
                    kib[key] = int(rest.split()[0])
    return {"rss": kib["VmRSS"] / 1024, "peak": kib["VmHWM"] / 1024, "files": kib["RssFile"] / 1024,
            "own": (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024, "anonymous": kib["RssAnon"] / 1024}


def profile(pid, lines=25):
    """Its largest mappings, for a gate that was missed."""
    by_name, name = {}, None
    with open("/proc/%d/smaps" % pid, encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if not words[0].endswith(":"):
                name = words[5] if len(words) > 5 else "[anonymous]"
            elif words[0] in ("Rss:", "Private_Dirty:"):
                by_name.setdefault(name, {"Rss:": 0, "Private_Dirty:": 0})[words[0]] += int(words[1])
    print("    %8s %8s  mapping" % ("KiB", "dirty"))
    for mapping, kib in sorted(by_name.items(), key=lambda m: -m[1]["Rss:"])[:lines]:
        print("    %8d %8d  %s" % (kib["Rss:"], kib["Private_Dirty:"], mapping))


def measure(name):
    files, options, _ = SCENARIOS[name]
    b = stream.Bench(name)
    try:
        write_policy(b.policy, files)
        v = stream.Verifier(b)
        c = stream.Collector(b, v.url, b.source, options=options)
        with_set = not options
        b.write(50, False)
        b.settled(v)
        if with_set:
            stream.wait_for("the reference set", lambda: c.stats()["batches"]["reference_bytes"] == SET_BYTES, 60)
        for _ in range(30):
            b.write(15, False)
            time.sleep(0.05)
        b.settled(v)
        stats = c.stats()
        known = stats["batches"]["known"]
        if bool(known) != with_set:
            raise stream.Failure("%d entries were sent as numbers" % known)
        out = memory(c.process.p.pid)
        if os.environ.get("IMASTREAM_BENCH_PROFILE"):
            profile(c.process.p.pid)
        b.write(10000, False)
        b.settled(v, 120)
        out["after"] = memory(c.process.p.pid)["rss"]
        b.end()
        return out
    finally:
        b.close()


def result(bench, value, gate=None):
    ok = gate is None or value <= gate
    print("  %-30s %12.2f %-4s %8s  %s" % (bench, value, "MiB", "-" if gate is None else gate, "" if gate is None else
                                           "pass" if ok else "MISSED"), flush=True)
    path = os.environ.get("IMASTREAM_BENCH_RESULTS") or os.path.join(HERE, "..", "..", "build", "bench", "results.jsonl")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a", encoding="utf-8") as f:
        f.write(json.dumps({"bench": bench, "value": round(value, 3), "unit": "MiB", "gate": gate, "pass": ok, "baseline": None,
                            "ratio": None}) + "\n")
    return ok


def main():
    missed = 0
    for name in sys.argv[1:] or SCENARIOS:
        m = measure(name)
        missed += not result("collector-memory-" + name, m["rss"], SCENARIOS[name][2])
        result("collector-private-" + name, m["own"])
        result("collector-anonymous-" + name, m["anonymous"])
        result("collector-peak-" + name, m["peak"])
        result("collector-after-10000-" + name, m["after"])
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
