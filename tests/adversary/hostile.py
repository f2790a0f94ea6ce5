# SPDX-License-Identifier: Apache-2.0
"""A collector on strings (puppet.c) in front of a real verifier, and what its owner may look at afterwards."""

import hashlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import BIN, SLOW, Failure, Verifier, running, wait_for  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
VARIANT = os.environ.get("VARIANT", "default")
PUPPET = os.path.join(HERE, "..", "..", "build", VARIANT, "tests", "adversary", "puppet")
GOOD = ["/usr/bin/good-%d" % i for i in range(200)]


def digest(path):
    """What the puppet measures: the content of each of its files is its name."""
    return hashlib.sha256(path.encode()).hexdigest()


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failure("%s: seen %s, expected %s" % (what, seen, wanted))


def refused(what, answer, *reasons):
    """The answer must be a refusal for one of these reasons."""
    if answer["type"] not in ("REJECT", "RESUME", "ACK") or answer.get("reason") not in reasons:
        raise Failure("%s: seen %s, expected the reason %s" % (what, answer, " or ".join(reasons)))


class Puppet:
    def __init__(self, tpm=None, url=None):
        self.p = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", PUPPET], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, bufsize=1)
        self.n = 0
        self.me = self.do("tpm", tpm.tcti) if tpm else {}
        if url:
            self.do("connect", url)

    def do(self, *words):
        self.p.stdin.write(" ".join(str(w) for w in words) + "\n")
        line = self.p.stdout.readline()
        if not line:
            raise Failure("the puppet died at %s" % (words,))
        answer = json.loads(line)
        if "error" in answer:
            raise Failure("%s: %s" % (" ".join(str(w) for w in words[:3]), answer["error"]))
        return answer

    def close(self):
        self.p.stdin.close()
        self.p.wait(20)

    def measure(self, path, how=""):
        self.n += how != "hidden"
        return self.do("measure", path, how)

    def greet(self, *options):
        answer = self.do("hello", *options)
        expect("HELLO", answer["type"], "WELCOME")
        return answer["resume"]

    def prove(self, surely=None, *options):
        """A quote, with all entries that the verifier has not got; the ENTRIES too when it asks for them."""
        self.do("quote", self.n if surely is None else surely)
        return self.do("send", *options)

    def honest(self):
        """HELLO, and proof of everything so far."""
        resume = self.greet()
        answer = self.prove(None, *(["entries=%d" % resume] if resume < self.n else []))
        expect("an honest start", (answer["type"], answer.get("next"), answer.get("proven")), ("ACK", self.n, self.n))
        return answer

    def more(self, *paths):
        """Measures, reports and proves them: the ACK."""
        first = self.n
        for path in paths:
            self.measure(path)
        return self.prove(None, "entries=%d" % first)


class Stage:
    """A verifier that knows one TPM's key and the good files; the puppet with that TPM."""

    def __init__(self, b, options=(), good=10, listen="tcp://127.0.0.1:0"):
        self.b = b
        self.policy = b.dir + "/good.json"
        with open(self.policy, "w", encoding="utf-8") as f:
            json.dump({"meta": {"version": 1}, "release": 0, "digests": {p: [digest(p)] for p in GOOD}, "excludes": [],
                       "keyrings": {}, "ima": {"ignored_keyrings": [], "log_hash_alg": "sha256", "dm_policy": None},
                       "ima-buf": {}, "verification-keys": ""}, f)
        self.puppet = Puppet(b.tpm)
        keys = b.dir + "/keys.ak"
        with open(keys, "w", encoding="utf-8") as f:
            f.write("%s %s host\n" % (self.puppet.me["id"], self.puppet.me["name"]))
        self.v = Verifier(b, policy=False, trust=False, listen=listen,
                          options=["--policy", self.policy, "--ak-list", keys] + list(options))
        if listen.startswith("tcp"):
            self.puppet.do("connect", self.v.url)
        for path in GOOD[:good]:
            self.puppet.measure(path)

    def seen(self):
        return self.v.attester()

    def state(self, wanted, reason=None, seconds=10):
        """Waits for the state, and the reason with it."""
        last = {}

        def there():
            last.update(self.v.attester())
            state = "stale" if wanted == "stale" and last.get("stale") else last.get("state")
            return state == wanted and reason in (None, last.get("reason"))
        wait_for(lambda: "state %s because of %s; seen %s because of %s" % (
            wanted, reason, last.get("state"), last.get("reason")), there, seconds)

    def findings(self, reason=None):
        return [e for e in self.v.findings() if reason in (None, e["reason"])]

    def blameless(self):
        """Nobody but the stranger is to blame: the host is as before."""
        a = self.seen()
        expect("state", a["state"], "trusted")
        expect("findings of the host", a["findings"], {"fail": 0, "warning": 0, "unproven": 0})


def memory(process):
    """VmRSS and VmHWM of a running program, KiB."""
    values = {}
    with open("/proc/%d/status" % process.p.pid, encoding="ascii") as f:
        for line in f:
            key, _, value = line.partition(":")
            if key in ("VmRSS", "VmHWM"):
                values[key] = int(value.split()[0])
    return values


def bounded(stage, before, limit_mib, what):
    """Says how far the verifier's memory went, and fails past the bound (wider under a sanitizer)."""
    after = memory(stage.v.process)
    text = "%s: resident %.1f MiB before, %.1f MiB at most" % (what, before["VmRSS"] / 1024, after["VmHWM"] / 1024)
    if after["VmHWM"] > before["VmRSS"] + limit_mib * 1024 * (SLOW if SLOW == 1 else 6):
        raise Failure(text + ", the bound is %d MiB more" % limit_mib)
    return text


def measured(scenario, limit_mib=40):
    """The scenario with the memory that its verifiers took at most: an attack must not pay by what it makes them keep."""
    def run(b):
        note = scenario(b)
        peak = max((memory(p)["VmHWM"] / 1024 for p in running if p.alive() and BIN + "/imastream-verifier" in p.p.args),
                   default=0)
        if not 0 < peak <= limit_mib * (1 if SLOW == 1 else 10):
            raise Failure("the verifier took %.1f MiB, the bound is %d MiB" % (peak, limit_mib))
        return "%s%sverifier at most %.1f MiB" % (note or "", ", " if note else "", peak)
    return run


def status_text(stage):
    r = subprocess.run([BIN + "/imastream", "status", "--control", stage.v.control], capture_output=True, check=False)
    return r.stdout + r.stderr


def pause(seconds):
    time.sleep(seconds * (1 if SLOW == 1 else 1.5))
