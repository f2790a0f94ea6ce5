# SPDX-License-Identifier: Apache-2.0
"""One line a result: a table, and JSON lines for build/bench/results.jsonl. README.md says what the fields mean."""

import json
import os

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
OUT = os.path.join(TOP, "build", "bench")


class Results:
    """The rows of one benchmark; `prefix` is put before their names."""

    def __init__(self, prefix):
        self.prefix, self.rows, self.missed = prefix, [], 0

    def add(self, bench, value, unit, gate=None, baseline=None, ratio=None):
        ok = gate is None or value <= gate
        self.missed += not ok
        self.rows.append({"bench": self.prefix + bench, "value": round(value, 3), "unit": unit,
                          "gate": gate if gate is None else round(gate, 3), "pass": ok, "baseline": baseline,
                          "ratio": ratio if ratio is None else round(ratio, 4)})

    def write(self, heading=True, append=True):
        """Prints the table and, unless told otherwise, appends the lines."""
        if heading:
            print("\n  %-36s %12s %-6s %9s  %-6s %s" % ("bench", "value", "unit", "gate", "", "baseline"))
        for r in self.rows:
            gate = "-" if r["gate"] is None else "%.5g" % r["gate"]
            verdict = "" if r["gate"] is None else "pass" if r["pass"] else "MISSED"
            against = "%.4g x %s" % (r["ratio"], r["baseline"]) if r["baseline"] else ""
            print("  %-36s %12.2f %-6s %9s  %-6s %s" % (r["bench"], r["value"], r["unit"], gate, verdict, against), flush=True)
        if not append:
            return
        path = os.environ.get("IMASTREAM_BENCH_RESULTS") or OUT + "/results.jsonl"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "a", encoding="utf-8") as f:
            for r in self.rows:
                f.write(json.dumps(r) + "\n")
