#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-report: writes docs/benchmarks.md from the newest whole run of make bench (build/bench/run.json, and its latency.json,
fleet.json, kernel.json), puts the plots that it shows beside it, and the short table into README.md, between its two marks."""

import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from results import OUT as BENCH, TOP  # noqa: E402

DOCS = os.path.join(TOP, "docs")
MARKS = ("<!-- figures: make bench-report -->\n", "<!-- end of figures -->\n")
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


# Why a gate of such a name is missed, where it is known. Shown only when it is.
WHY = (
    ("verify-wire-known-.*", "At the gate, and on either side of it from run to run: what is left beside the hashes is the block's "
     "decompression, and putting each entry together from the reference set, from which its template hash is computed."),
    ("verify-wire-.*", "An entry that no reference set holds, of 370 ns (perf, 100,000 files): zstd and the block's columns 65, putting "
     "the entry together 40, hash of the path and look-up in the policy 65, template hash and extend 130, judging 70. The gate leaves "
     "120 ns for all but the hashes. What is left to take away is the look-up: an index of the policy by template hash would need "
     "a SHA-256 for each digest when a policy is loaded, 1 million of them in the place of 44 ms for the whole file."),
    ("verify-list-.*", "At the gate, and on either side of it from run to run (1.36 to 1.49 of the baseline): the list has a digest column of 32 bytes "
     "an entry that is read and compared, and the baseline reads the template data alone; one of a million entries comes from memory, not from a cache."),
    ("quote-check-.*", "On either side of the gate from run to run (0.93 to 1.13 of OpenSSL's own)."),
    ("fleet-.*-cpu", "With the load generator on the other processor all of this one is slower: a P-256 signature that takes 72 µs "
     "alone (`quote-openssl-ecdsa-p256`) takes 100 µs in these seconds. perf at saturation, 1,000 attesters: libcrypto 56 % of the "
     "verifier's time, the kernel (sockets, wake-ups) 27 %, libc 6 %, SQLite 6 %, the verifier's own code 5 %."),
)


def why(lines):
    """The gates that are missed, and the reasons."""
    missed = [r["bench"] for r in lines if r["gate"] is not None and not r["pass"]]
    if not missed:
        return ""
    text = "## Gates that are missed\n%d of %d.\n\n" % (len(missed), sum(r["gate"] is not None for r in lines))
    for pattern, reason in WHY:
        mine = [b for b in missed if re.fullmatch(pattern, b)]
        missed = [b for b in missed if b not in mine]
        if mine:
            text += "- %s. %s\n" % (", ".join("`%s`" % b for b in mine), reason)
    if missed:
        text += "- %s: not looked into.\n" % ", ".join("`%s`" % b for b in missed)
    return text + "\n"


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


def fleet(d):
    rows = [("attesters", "connections", "", "quotes/s a core", "signature alone", "verifier / signature", "ACK p50 / p99",
             "memory an attester")]
    for r in d["runs"]:
        q = r["quote_us"]
        what = r["name"].split("-")[1:]
        rows.append(("{:,}".format(r["attesters"]), "{:,}".format(r["connections"]), " ".join(x for x in what if x != "on" and x != "10k"),
                     "{:,.0f}".format(1e6 / r["cpu"]), "%.0f µs" % r["run"]["signature_us"], "%.2f" % r["signatures"],
                     "%s / %s" % (ms(q["p50"] / 1000), ms(q["p99"] / 1000)),
                     "{:,.0f} B".format(r["memory"]) if r["attesters"] >= 10000 else ""))
    return """## A fleet
`make bench-fleet`: attesters of `tools/loadgen`, each with a key of its own, against a verifier on the same machine, over TCP, SQLite
store on. *Quotes/s a core*: from the processor time of all threads of the verifier. The speed of a shared machine drifts, so flatness
is judged by the column that divides by what one check of a P-256 signature takes in the same seconds. The time to the acknowledgement
means something below saturation only (2000 a second).

%s
""" % md(rows)


def kernel(d):
    text = """## The kernel's side
`make bench-kernel`: Linux %s in the guest lab, emulated: a kernel function and a BPF program are slowed down alike, so ratios compare.
`tests/bench/README.md` says what each column is.

""" % d["cost"]["kernel"]
    rows = [("program", "KiB", "measured exec", "hooks in it", "exec again", "hooks in it")]
    hooks = sum(h["us"] for name, h in d["cost"]["hooks"].items() if name.startswith("new "))
    again = sum(h["runs"] for name, h in d["cost"]["hooks"].items() if name.startswith("again "))
    for path, new in d["cost"]["new"].items():
        if path in d["cost"]["programs"]:
            rows.append((os.path.basename(path), "%.0f" % (d["cost"]["programs"][path] / 1024), ms(new["detached"] / 1000),
                         "%.1f %%" % (100 * hooks / new["detached"]), ms(d["cost"]["again"][path]["detached"] / 1000),
                         "%d runs" % again))
    text += md(rows)
    i = d["interference"]
    rows = [("", "exec p50 / p90 / p99 / max", "delayed", "of the TPM's time")]
    for name, m in i.items():
        if isinstance(m, dict) and "p50" in m:
            title_ = "no quotes" if name == "none" else "duty %s %%" % name[4:]
            rows.append((title_, spread(m), "%.0f %%" % (100 * m["delayed"]), "%.0f %%" % (100 * m["tpm"]["share"])))
    return text + """
A TPM that quotes in %g ms and extends in %g ms; %d executions, %g a second. *Delayed*: longer than 99 %% of those without quotes.

%s
""" % (i["quote_ms"], i["extend_ms"], i["executions"], i["rate"], md(rows))


SECTIONS = (
    ("verify-", "Entries", "`make bench-verify`: parse, template hash, extend, look-up in a policy of 100,000 files; one thread, "
     "processor time. The baseline is the bare hash-and-extend loop over the same bytes with OpenSSL's low-level calls."),
    ("quote-", "Quotes", "`make bench-verify`: a QUOTE message, decoding and all checks, against OpenSSL verifying the same signature."),
    ("policy-", "Policies", "`build/default/tests/bench/policy_bench`"),
    ("wire-", "Bytes on the wire", "`make bench-wire`: bytes an entry, 12,000 files of this machine in no order."),
    ("collector-", "A collector's memory", "`make bench-memory`"),
    ("fleet-", "A fleet: results", ""),
    ("kernel-", "The kernel's side: results", ""),
    ("latency-", "Detection latency: results", ""),
)


def sections(lines):
    text, left = "", list(lines)
    for prefix, name, about in SECTIONS:
        mine = [r for r in left if r["bench"].startswith(prefix)]
        left = [r for r in left if r not in mine]
        if mine:
            text += "## %s\n%s%s\n" % (name, about + "\n\n" if about else "", results_table(mine))
    return text + ("## Others\n" + results_table(left) if left else "")


def short(d, lines):
    """The table of the README: ours, polling in the same run, Keylime's."""
    r = {x["bench"]: x for x in lines}
    native = d["native"]
    two = native["poll-2"]

    def both(q):
        return "%s / %s" % (ms(q["p50"]), ms(q["p99"]))

    def value(name, fmt):
        return fmt % r[name]["value"] if name in r else ""

    def persecond(name):
        return "{:,.0f}/s".format(1e9 / r[name]["value"]) if name in r else ""
    rows = [("", "imastream", "the same program polling every 2 s", "Keylime 7.14"),
            ("measured to reported, p50 / p99", both(native["event"]["reported"]), both(two["reported"]), "a poll interval: 2 to 60 s"),
            ("measured to proven, p50 / p99", both(native["event"]["proven"]), both(two["proven"]), "a poll interval"),
            ("an idle host", "%d TPM commands, %d wake-ups between heartbeats" % (len(d["idle"]["tpm_times"]), max(d["idle"]["counters"]["wakeups"], 0)),
             "a quote each 2 s", "9 to 304 ms of the verifier's processor each poll"),
            ("entries checked, one thread", persecond("verify-wire-ima-ng-100k"), "", "134,000/s"),
            ("check of a quote, P-256 / RSA-2048", "%s / %s" % (value("quote-check-ecdsa-p256", "%.0f µs"), value("quote-check-rsassa-2048", "%.0f µs")),
             "", "600 / 420 µs"),
            ("quotes end to end, a core, 10,000 hosts", "{:,.0f}/s".format(1e6 / r["fleet-10k-cpu"]["value"]) if "fleet-10k-cpu" in r else "", "",
             "3.9/s, whole system"),
            ("bytes an entry in a block, known (of 10) / unknown (of 128)", "%s / %s" % (value("wire-known-by-10", "%.1f"), value("wire-unknown-by-128", "%.1f")), "", "136 to 168"),
            ("memory of a host's agent", value("collector-memory-without", "%.1f MiB"), "", "60 MB")]
    m = d["machine"]
    return """![latency](docs/latency.svg)

%s
`make bench` repeats it, `make bench-report` writes it down (a quarter of an hour; here %s, %d processors, %s). It ends with an error when a gate is
missed. Latency: at native speed with a software TPM and a source
that stands in for the kernel; on a real kernel in an emulated guest an execution is reported after %s (p50), proven after %s.
[docs/benchmarks.md](docs/benchmarks.md) has all of it, also the gates that are missed. Keylime's figures: its own functions called in a
loop on such a machine, logging off, one thread; intervals, hosts and memory as published. Bytes of an entry are without the context of
its process (`--context`), which adds about 12.
""" % (md(rows), m["processor"], m["cores"], m["date"], ms(d["guest"]["modes"]["event"]["reported"]["p50"]),
       ms(d["guest"]["modes"]["event"]["proven"]["p50"]))


def put_into_readme(text):
    path = TOP + "/README.md"
    with open(path, encoding="utf-8") as f:
        readme = f.read()
    before, found, rest = readme.partition(MARKS[0])
    old, end, after = rest.partition(MARKS[1])
    if not found or not end:
        sys.exit("README.md has lost its marks: %s" % " ".join(MARKS))
    if old != text:
        with open(path, "w", encoding="utf-8") as f:
            f.write(before + MARKS[0] + text + MARKS[1] + after)


def load(name):
    path = "%s/%s.json" % (BENCH, name)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def main():
    run = load("run")
    if not run:
        sys.exit("nothing to report: make bench comes first")
    for name in ("latency", "fleet", "kernel"):
        path = "%s/%s.json" % (BENCH, name)
        if not os.path.exists(path) or os.path.getmtime(path) > os.path.getmtime(BENCH + "/run.json"):
            sys.exit("%s.json is not of the run that run.json tells of: make bench comes first" % name)
    lines = run["results"]
    gates = [r for r in lines if r["gate"] is not None]
    text = """<!-- SPDX-License-Identifier: Apache-2.0 -->
# Benchmarks
Written by `make bench-report` from one run of `make bench`; not by hand. %s, %d processors, Linux %s, %s; %d s, load %.1f before the
start and %.1f at the end. %d of %d gates met. Ratios compare inside the run; they say more than values when the machine is busy.

""" % (run["processor"], run["cores"], run["kernel"], run["date"], run["seconds"], run["load"], run["load_end"],
       sum(r["pass"] for r in gates), len(gates))
    text += why(lines)
    d = load("latency")
    text += latency(d)
    for name in ("latency.svg", "latency-timeline.svg"):
        shutil.copy("%s/%s" % (BENCH, name), DOCS)
    put_into_readme(short(d, lines))
    text += fleet(load("fleet")) + kernel(load("kernel"))
    text += sections(lines)
    with open(DOCS + "/benchmarks.md", "w", encoding="utf-8") as f:
        f.write(text)
    print("wrote docs/benchmarks.md, its plots, and the table in README.md")


if __name__ == "__main__":
    main()
