#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-report: writes docs/benchmarks.md from build/bench (results.jsonl: the newest line of each bench; latency.json), and
puts the plots that it shows beside it."""

import json
import os
import shutil
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BENCH, DOCS = os.path.join(TOP, "build", "bench"), os.path.join(TOP, "docs")
PHASES = (("isolated", "isolated events"), ("burst-100", "burst of 100"), ("burst-1000", "burst of 1,000"),
          ("burst-10000", "burst of 10,000"), ("steady", "steady 50/s"))


def ms(x):
    """Three digits, with the unit that people read."""
    return "%.1f s" % (x / 1000) if x >= 1000 else "%.0f ms" % x if x >= 100 else "%.3g ms" % x


def spread(q):
    return " / ".join(ms(q[k]) for k in ("p50", "p90", "p99", "max"))


def md(rows):
    lines = ["| " + " | ".join(str(x) for x in row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines) + "\n"


def title(name):
    return "event mode" if name == "event" else "polling, %s s" % name.split("-")[1]


def modes_table(modes):
    rows = [("", "reported: p50 / p90 / p99 / max", "proven: p50 / p90 / p99 / max", "quotes", "collector CPU", "on the wire",
             "exec: p50 / p99")]
    for name, m in modes.items():
        c = m["counters"]
        rows.append((title(name), spread(m["reported"]), spread(m["proven"]), m["quotes"], ms(c["cpu_ms"]),
                     "{:,} B".format(int(c["sent"] + c["received"])), "%s / %s" % (ms(m["exec"]["p50"]), ms(m["exec"]["p99"]))))
    return md(rows)


def tpm_table(tpms):
    rows = [("TPM", "", "reported: p50 / p90 / p99 / max", "proven: p50 / p90 / p99 / max", "quotes", "of the TPM's time",
             "exec: p50 / p99")]
    for name, t in tpms.items():
        tpm = "software" if name == "native" else "quote %g ms, extend %g ms" % (t["quote_delay"], t["extend_delay"])
        for phase, text in PHASES:
            m = t[phase]
            rows.append((tpm, text, spread(m["reported"]), spread(m["proven"]), m["quotes"], "%.1f %%" % (100 * m["tpm_share"]),
                         "%s / %s" % (ms(m["exec"]["p50"]), ms(m["exec"]["p99"]))))
            tpm = ""
    return md(rows)


def results_table(lines):
    rows = [("bench", "value", "gate", "", "against a baseline of the same run")]
    for r in lines:
        gate = "" if r["gate"] is None else "at most %g" % r["gate"]
        verdict = "" if r["gate"] is None else "met" if r["pass"] else "**missed**"
        against = "%.3g x %s" % (r["ratio"], r["baseline"]) if r["baseline"] else ""
        rows.append(("`%s`" % r["bench"], "%.4g %s" % (r["value"], r["unit"]), gate, verdict, against))
    return md(rows)


def newest(path):
    """The newest line of each bench, in the order in which they came."""
    found = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            r = json.loads(line)
            found[r["bench"]] = r
    return list(found.values())


def latency(d):
    m, y, hour = d["machine"], d["yardsticks"], d["hour"]["counters"]
    entries = d["native"]["event"]["entries"]
    text = """## Detection latency: event mode against polling
`make bench-latency`; %s, %d processors, Linux %s, load %.1f at the start and %.1f at the end, %s, %d s.
Waking a process took %s (p50) to %s (p99) there, writing 4 KiB to the disk for good %s to %s.

- *Measured*: the TPM's answer to the entry's PCR extend. *Reported*, *proven*: the verifier has stored it and its line stands in
  `--events`. All by one clock that is none of the programs' (`tests/bench/latency_rig.py`). *exec*: what the workload waits.
- Native: the collector's test source stands in for the kernel, swtpm for the TPM; sandbox on, TCP, the verifier's store on tmpfs
  (on the disk: isolated events reported p99 %s). The benchmark's programs run at real-time priority where that is allowed, so
  that other work on the machine is not measured.
- The workload of the first table: %d entries in 20 s, singles at random times and two bursts of 25. One wake-up reports an entry;
  the quote is taken because of it.

![latency](latency.svg)

%s
""" % (m["processor"], m["cores"], m["kernel"], m["load"], m["load_end"], m["date"], m["seconds"], ms(y["wake"]["p50"]),
       ms(y["wake"]["p99"]), ms(y["fdatasync"]["p50"]), ms(y["fdatasync"]["p99"]), ms(d["disk"]["isolated"]["reported"]["p99"]),
       entries, modes_table(d["native"]))
    if "guest" in d:
        g = d["guest"]
        text += """### A real kernel
Linux %s with IMA and a TPM in an emulated processor (QEMU TCG, five to twenty times slower than this machine), collector and
verifier both in the guest. %d programs that the kernel has not seen before; times from the call of execve, which is before the
measurement. Without BPF programs attached (polling) an execution took %s (p50), with them %s.

%s
""" % (g["kernel"], g["modes"]["event"]["entries"], ms(g["modes"]["poll-2"]["exec"]["p50"]),
       ms(g["modes"]["event"]["exec"]["p50"]), modes_table(g["modes"]))
    text += """### Slow TPMs
The same programs behind a TCTI that adds a delay to each quote and each extend (`tests/lib/tcti/slow.c`); `--max-proof-delay` is
1 s, and 2 s for the TPM of 200 ms, which cannot keep the duty of 20 %% within one. Entries of a burst are measured one after the
other, so a burst of 10,000 lasts half a minute; *exec* has the wait for those before it.

![timeline](latency-timeline.svg)

%s
### Idleness
%d s without a measurement and without a heartbeat, under `strace -f`: %d system calls, %d wake-ups, %d TPM commands, %d bytes.
An idle hour at a heartbeat a minute, compressed: 60 s at a heartbeat a second, so 60 heartbeats; only the time between them is
shorter: %d TPM commands, %s of processor time, %s bytes on the wire, both ways.

""" % (tpm_table(d["tpm"]), d["idle"]["seconds"], len(d["idle"]["system_calls"]), max(d["idle"]["counters"]["wakeups"], 0),
       len(d["idle"]["tpm_times"]), d["idle"]["counters"]["sent"] + d["idle"]["counters"]["received"], hour["tpm_commands"],
       ms(hour["cpu_ms"]), "{:,}".format(int(hour["sent"] + hour["received"])))
    return text


def main():
    text = """<!-- SPDX-License-Identifier: Apache-2.0 -->
# Benchmarks
Written by `make bench-report` from a run; not by hand. `make bench` repeats all of it.

"""
    path = BENCH + "/latency.json"
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            text += latency(json.load(f))
        for name in ("latency.svg", "latency-timeline.svg"):
            if os.path.exists("%s/%s" % (BENCH, name)):
                shutil.copy("%s/%s" % (BENCH, name), DOCS)
    if not os.path.exists(BENCH + "/results.jsonl"):
        sys.exit("nothing to report: make bench comes first")
    text += "## All results\nThe newest of each bench. Ratios compare inside one run; they say more than values when the machine is busy.\n\n"
    text += results_table(newest(BENCH + "/results.jsonl"))
    with open(DOCS + "/benchmarks.md", "w", encoding="utf-8") as f:
        f.write(text)
    print("wrote docs/benchmarks.md")


if __name__ == "__main__":
    main()
