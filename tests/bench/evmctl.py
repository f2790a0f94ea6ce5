#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole of `imastream log verify` against the whole of `evmctl ima_measurement` (ima-evm-utils) on one list of 100,000
entries, which both compare with the same value of PCR 10: start, reading, replay, answer. In turn; the best of several, by
processor time, counts. evmctl knows no policies, so ours has none here.

Appends to build/bench/results.jsonl, or to what IMASTREAM_BENCH_RESULTS names.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
from results import TOP, Results  # noqa: E402
from stream_list import Oracle, boot_aggregate, digest_of, ima_ng, path_of  # noqa: E402

ENTRIES, ROUNDS = 100000, 5


def prepare(folder):
    """The list, evmctl's file of PCR values, and PCR 10."""
    oracle = Oracle(("sha256",))
    with open(folder + "/list", "wb") as f:
        for i in range(ENTRIES):
            entry = ima_ng(path_of(i), digest_of(i)) if i else boot_aggregate()
            oracle.add(entry)
            f.write(entry.wire)
    with open(folder + "/pcrs", "w", encoding="utf-8") as f:
        for i in range(24):
            value = oracle.value["sha256"] if i == 10 else bytes(32)
            f.write("PCR-%02d: %s\n" % (i, value.hex(" ").upper()))
    return oracle.hex("sha256")


def cpu_ms(argv):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    r = subprocess.run(argv, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if r.returncode:
        sys.exit("evmctl.py: %s: exit status %d: %s" % (argv[0], r.returncode, (r.stderr or r.stdout)[-500:]))
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main():
    if not shutil.which("evmctl"):
        print("  evmctl is not installed: tools/setup --need test")
        return 2
    with tempfile.TemporaryDirectory(prefix="imastream-evmctl-") as folder:
        value = prepare(folder)
        ours = [TOP + "/build/bin/imastream", "log", "verify", folder + "/list", "--pcr", "sha256:" + value]
        theirs = ["evmctl", "ima_measurement", "--pcrs", "sha256,%s/pcrs" % folder, folder + "/list"]
        times = [(cpu_ms(theirs), cpu_ms(ours)) for _ in range(ROUNDS)]
    evmctl, imastream = min(t[0] for t in times), min(t[1] for t in times)
    r = Results("verify-")
    r.add("evmctl-100k", evmctl, "ms")
    r.add("log-verify-100k", imastream, "ms", None, "evmctl ima_measurement", imastream / evmctl)
    r.write(heading=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
