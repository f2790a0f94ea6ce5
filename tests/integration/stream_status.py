# SPDX-License-Identifier: Apache-2.0
"""What people see of a running stream: status and its exit codes, watch, and another policy."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import BIN, SLOW, Collector, Failure, Scenarios, Verifier, wait_for  # noqa: E402


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failure("%s: seen %s, expected %s" % (what, seen, wanted))


def status(v, *options):
    r = subprocess.run([BIN + "/imastream", "status", "--control", v.control, "--color", "never"] + list(options),
                       capture_output=True, text=True, check=False)
    return r.returncode, r.stdout


def exit_codes(b):
    v = Verifier(b, options=["--heartbeat", "%dms" % (300 * SLOW), "--deadline", "%dms" % (1500 * SLOW)])
    expect("no attester yet", status(v)[0], 4)
    b.write(50, plant=False)
    c = Collector(b, v.url, b.source, name="node-17")
    b.settled(v)
    code, text = status(v)
    expect("all trusted", code, 0)
    for word in ("node-17", "trusted", "50 / 50"):
        if word not in text:
            raise Failure("the screen does not show %s:\n%s" % (word, text))
    c.kill()
    wait_for("stale", lambda: v.attester()["state"] == "stale")
    expect("stale", status(v)[0], 4)
    c.start()
    while b.workload.fails == 0:
        b.write(1, plant=True)
    b.settled(v)
    code, text = status(v)
    expect("untrusted", code, 3)
    if "imastream explain digest-" not in text:
        raise Failure("the screen does not say what to do next:\n" + text)
    expect("the same in JSON", status(v, "--json")[0], 3)
    v.kill()
    expect("no verifier", status(v, "--timeout", "300ms")[0], 5)


def watch(b):
    """A live watcher sees what the events file holds, in order; it survives a restart of the verifier."""
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(20, plant=False)
    b.settled(v)
    p = subprocess.Popen([BIN + "/imastream", "watch", "--events", v.publish, "--json"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    said = []

    def read():
        for line in p.stderr:
            said.append(line)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        wait_for("connected", lambda: any("connected" in x for x in said))
        for _ in range(5):
            b.write(1, plant=True)
        b.settled(v)
        v.stop()
        v.start()
        wait_for("connected again", lambda: sum("connected" in x for x in said) >= 2)
        for _ in range(5):
            b.write(1, plant=True)
        b.compare(v, c)
        p.terminate()
        seen = [json.loads(line) for line in p.stdout]
    finally:
        p.kill()
        p.wait()
    seqs = [e["seq"] for e in seen]
    if seqs != sorted(seqs):
        raise Failure("events out of order: %s" % seqs)
    found = {(e["entry"], e["reason"]) for e in seen if e["event"] == "finding"}
    expect("findings", found, {(n, reason) for n, (_, reason) in b.workload.planted.items()})


def watch_in_silence(b):
    """A watcher that was connected, and has had nothing to show yet, waits for a publisher that is started again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        p = subprocess.Popen([BIN + "/imastream", "watch", "--events", "tcp://127.0.0.1:%d" % listener.getsockname()[1],
                              "--connect-timeout", "1s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = []
        threading.Thread(target=lambda: said.extend(p.stderr), daemon=True).start()
        listener.settimeout(30)
        try:
            for n in (1, 2):
                with listener.accept()[0] as s:
                    s.sendall(b"\0SP\0\0\x20\0\0")  # a publisher's hello, and nothing after it
                    wait_for("connected", lambda: sum("connected" in x for x in said) == n)
                    time.sleep(1.1)  # longer than it would wait for one that was never there
                wait_for("that it is lost", lambda: sum("lost" in x for x in said) == n)
            expect("still there", p.poll(), None)
        finally:
            p.kill()
            p.wait()


def watch_count(b):
    v = Verifier(b)
    b.write(1)
    Collector(b, v.url, b.source)
    b.settled(v)
    p = subprocess.Popen([BIN + "/imastream", "watch", "--events", v.publish, "--count", "3", "--color", "always"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for("connected", lambda: "connected" in p.stderr.readline())
        for _ in range(3):
            b.write(1, plant=True)
        text, _ = p.communicate(timeout=20 * SLOW)
    finally:
        p.kill()
    expect("exit code", p.returncode, 0)
    expect("lines", len(text.splitlines()), 3)
    if "\x1b[" not in text or "pcr10#" not in text:
        raise Failure("not the event line of the design: " + text)


def other_policy(b):
    """SIGHUP: another policy judges the same entries again; what stays is not told twice."""
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(50, plant=False)
    while b.workload.fails < 4:
        b.write(1, plant=True)
    b.compare(v)
    with open(b.policy, encoding="utf-8") as f:
        old = f.read()
    policy = json.loads(old)
    unknown = {n: (path, reason) for n, (path, reason) in b.workload.planted.items() if reason == "digest-unknown"}
    for path, _ in unknown.values():
        policy["digests"][path] = [hashlib.sha256(path.encode()).hexdigest()]
    events = len(v.findings())

    def load(text, fails):
        with open(b.policy, "w", encoding="utf-8") as f:
            f.write(text)
        v.process.p.send_signal(signal.SIGHUP)
        wait_for(lambda: "%d that fail, seen %s" % (fails, v.attester()["findings"]),
                 lambda: v.attester()["findings"]["fail"] == fails)
    load(json.dumps(policy), b.workload.fails - len(unknown))
    expect("findings told", len(v.findings()), events)
    load("{ no policy", b.workload.fails - len(unknown))  # keeps the one before
    wait_for("a word about it", lambda: "the rules stay as they were" in v.process.said())
    load(old, b.workload.fails)
    expect("findings told again", len(v.findings()), events + len(unknown))
    b.settled(v)
    c.stop()


s = Scenarios()
s.run("status: screen and exit codes", exit_codes)
s.run("watch sees every finding, over a restart of the verifier", watch)
s.run("watch that has shown nothing, over a restart", watch_in_silence)
s.run("watch --count", watch_count)
s.run("another policy judges again", other_policy)
s.done()
