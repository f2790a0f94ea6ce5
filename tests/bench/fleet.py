#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-fleet: a fleet that tools/loadgen plays against a real verifier on this machine, over real sockets, with the store
on. What the verifier spends on each piece of evidence, how long an acknowledgement takes, what an attester costs in memory.

usage: fleet.py [SCENARIO...]
Leaves in build/bench: results.jsonl (appended), fleet.json (all figures).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from results import OUT, TOP, Results  # noqa: E402

BIN = TOP + "/build/bin"
CPU_US = 1e6 / 8000  # 8,000 quotes a second and core
MEMORY = 4096  # bytes of a connected attester, beyond what its connection takes
FLAT = 1.15

# name: attesters, connections, mix, TLS, quotes a second (0: as many as the verifier takes)
SCENARIOS = {
    "100": (100, 100, "heartbeat", False, 0),
    "1k": (1000, 1000, "heartbeat", False, 0),
    "10k": (10000, 10000, "heartbeat", False, 0),
    "100k-on-10k": (100000, 10000, "heartbeat", False, 0),
    "100-tls": (100, 100, "heartbeat", True, 0),
    "1k-tls": (1000, 1000, "heartbeat", True, 0),
    "1k-busy": (1000, 1000, "busy", False, 0),
    "10k-busy": (10000, 10000, "busy", False, 0),
    "1k-2000-a-second": (1000, 1000, "heartbeat", False, 2000),
}

PATIENCE = 400  # seconds for one scenario: enrolling 100,000 hosts takes most of it

def say(text):
    print(text, flush=True)


def openssl(folder, *args):
    subprocess.run(["openssl"] + list(args), cwd=folder, check=True, capture_output=True)


def certificates(folder):
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(folder, "req", "-x509", *new, "-days", "2", "-subj", "/CN=fleet", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem")


class Verifier:
    def __init__(self, folder, name, tls):
        read, write = os.pipe()
        argv = [BIN + "/imastream-verifier", "--listen", ("tls+" if tls else "") + "tcp://127.0.0.1:0", "--store",
                "%s/%s.db" % (folder, name), "--control", "none", "--publish", "none", "--events", "none", "--enrol", "tofu",
                "--trust-on-first-use", "--policy", folder + "/policy.json", "--heartbeat", "1h", "--ready-fd", str(write)]
        if tls:
            argv += ["--tls-cert", folder + "/cert.pem", "--tls-key", folder + "/key.pem"]
        with open("%s/%s.log" % (folder, name), "wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as ready:
            line = ready.readline()
        if not line:
            with open("%s/%s.log" % (folder, name), encoding="utf-8") as log:
                sys.exit("fleet: the verifier did not start: " + log.read())
        self.url = json.loads(line)["listen"][0]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def measure(folder, name):
    attesters, connections, mix, tls, rate = SCENARIOS[name]
    verifier = Verifier(folder, name, tls)
    argv = [BIN + "/loadgen", "--verifier", verifier.url, "--pid", str(verifier.process.pid), "--attesters", str(attesters),
            "--connections", str(connections), "--mix", mix, "--rate", str(rate), "--run", "8s", "--warm-up", "2s"]
    if tls:
        argv += ["--ca", folder + "/cert.pem"]
    try:
        r = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        sys.exit("fleet: %s: not done within %d s: too much else runs on this machine" % (name, PATIENCE))
    finally:
        verifier.stop()
    if r.returncode:
        sys.exit("fleet: %s: %s" % (name, r.stderr))
    d = json.loads(r.stdout)
    d["name"] = name
    # other work on this machine comes and goes: a slice that it hit says nothing of the verifier
    d["cpu"] = statistics.median(s["cpu_us"] for s in d["slices"])
    d["signatures"] = statistics.median(s["cpu_us"] / s["signature_us"] for s in d["slices"])
    d["memory"] = (d["rss_kib"]["attached"] - d["rss_kib"]["connected"]) * 1024 / attesters
    d["connection_memory"] = (d["rss_kib"]["connected"] - d["rss_kib"]["before"]) * 1024 / connections
    os.unlink("%s/%s.db" % (folder, name))
    return d


def judge(runs):
    r = Results("fleet-")
    by_name = {d["name"]: d for d in runs}
    least = by_name.get("100")
    for d in runs:
        name, cpu = d["name"], d["cpu"]
        flat = SCENARIOS[name][2:] == ("heartbeat", False, 0)
        r.add(name + "-cpu", cpu, "us", CPU_US if flat else None, *(("fleet-100-cpu", d["signatures"] / least["signatures"]) if least else ()))
        r.add(name + "-cpu-in-signatures", d["signatures"], "x")
        r.add(name + "-ack-p50", d["quote_us"]["p50"] / 1000, "ms")
        r.add(name + "-ack-p99", d["quote_us"]["p99"] / 1000, "ms")
        if d["attesters"] >= 10000:
            r.add(name + "-memory", d["memory"], "B", MEMORY)
    flat = [d["signatures"] for d in runs if SCENARIOS[d["name"]][2:] == ("heartbeat", False, 0)]
    if len(flat) > 1:
        r.add("cpu-largest-to-smallest", max(flat) / min(flat), "x", FLAT)
    r.write()
    return r


def table(runs):
    say("\n  %-17s %8s %11s %9s %10s %8s %8s %8s %8s %15s %15s" %
        ("", "quotes/s", "per core", "cpu us", "user/sys", "sign. us", "B host", "B conn.", "switches", "quote p50/99 ms", "entries p50/99"))
    for d in runs:
        run, q, e = d["run"], d["quote_us"], d["entries_us"]
        say("  %-17s %8.0f %11.0f %9.1f %10s %8.1f %8.0f %8.0f %8.2f %15s %15s" %
            (d["name"], run["evidence"] / run["seconds"], 1e6 / d["cpu"], d["cpu"],
             "%.0f/%.0f" % (run["user_us"], run["system_us"]), run["signature_us"], d["memory"], d["connection_memory"], run["switches"],
             "%.1f/%.1f" % (q["p50"] / 1000, q["p99"] / 1000),
             "%.1f/%.1f" % (e["p50"] / 1000, e["p99"] / 1000) if e["count"] else ""))


def main():
    names = sys.argv[1:] or list(SCENARIOS)
    os.makedirs(OUT, exist_ok=True)
    say("%d processors, load %.1f before the start; the load generator runs on the same machine" %
        (len(os.sched_getaffinity(0)), os.getloadavg()[0]))
    with tempfile.TemporaryDirectory(prefix="imastream-fleet-") as folder:
        subprocess.run([BIN + "/loadgen", "--write-policy", folder + "/policy.json"], check=True)
        certificates(folder)
        runs = [measure(folder, name) for name in names]
    table(runs)
    results = judge(runs)
    with open(OUT + "/fleet.json", "w", encoding="utf-8") as f:
        json.dump({"load": os.getloadavg()[0], "runs": runs}, f, indent=1)
    return 1 if results.missed else 0


if __name__ == "__main__":
    sys.exit(main())
