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
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
from results import Results  # noqa: E402
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


def main():
    r = Results("collector-")
    for name in sys.argv[1:] or SCENARIOS:
        m = measure(name)
        r.add("memory-" + name, m["rss"], "MiB", SCENARIOS[name][2])
        for what, key in (("private", "own"), ("anonymous", "anonymous"), ("peak", "peak"), ("after-10000", "after")):
            r.add("%s-%s" % (what, name), m[key], "MiB")
    r.write(heading=False)
    return 1 if r.missed else 0


if __name__ == "__main__":
    sys.exit(main())
