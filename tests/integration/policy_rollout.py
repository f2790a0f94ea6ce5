# SPDX-License-Identifier: Apache-2.0
"""Policies while a verifier runs: reload, overlap, roll-back, groups, required signatures; with a collector and a TPM."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import BIN, SLOW, Collector, Failure, Scenarios, Verifier, wait_for  # noqa: E402


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failure("%s: seen %s, expected %s" % (what, seen, wanted))


def imastream(*argv):
    r = subprocess.run([BIN + "/imastream"] + list(argv), capture_output=True, text=True, check=False)
    return r.returncode, r.stdout + r.stderr


def policy(v, *argv):
    return imastream("policy", *argv, "--control", v.control)


def in_force(v, name="default"):
    code, text = policy(v, "list", "--json")
    expect("policy list", code, 0)
    for p in json.loads(text)["policies"]:
        if p["name"] == name:
            return p
    return {}


def generation(v, n, name="default"):
    return wait_for(lambda: "generation %d, seen %s" % (n, in_force(v, name)),
                    lambda: in_force(v, name).get("generation") == n and in_force(v, name))


def put(path, text):
    """In one step, as a tool does it."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(path + ".new", path)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def also(text, *paths):
    """The policy, and these files with the digests that the workload gives unknown ones."""
    doc = json.loads(text)
    for path in paths:
        doc["digests"][path] = [hashlib.sha256(path.encode()).hexdigest()]
    return json.dumps(doc)


def planted(b):
    """Entries until one of them is unknown; its path."""
    while True:
        b.write(1, plant=True)
        path, reason = b.workload.planted[b.workload.count]
        if reason == "digest-unknown":
            return path


def said(v, text):
    wait_for(lambda: "%r in the log" % text, lambda: text in v.process.said())


def fails(v, n):
    wait_for(lambda: "%d that fail, seen %s" % (n, v.attester()["findings"]), lambda: v.attester()["findings"]["fail"] == n)


def reload(b):
    """A replaced file, SIGHUP, and a bad file that changes nothing."""
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(30, plant=False)
    path = planted(b)
    old = read(b.policy)
    b.settled(v)
    n = b.workload.fails
    expect("fails", v.attester()["findings"]["fail"], n)
    put(b.policy, also(old, path))  # nobody sends a signal
    generation(v, 2)
    fails(v, n - 1)
    put(b.policy, "{ no policy")
    said(v, "the rules stay as they were")
    expect("in force", in_force(v)["generation"], 2)
    refused = [e for e in v.events() if e["event"] == "policy-refused"]
    if not refused or b.policy not in refused[0]["text"] or "line 1" not in refused[0]["text"] or \
            refused[0]["severity"] != "warning":
        raise Failure("no event with file and reason: %s" % refused)
    put(b.policy, old)
    v.process.p.send_signal(signal.SIGHUP)
    generation(v, 3)
    fails(v, n)
    rows = json.loads(policy(v, "history", "default", "--json")[1])["history"]
    expect("history", [(r["generation"], r["until"] is None) for r in rows], [(3, True), (2, False), (1, False)])
    b.write(20, plant=False)
    b.settled(v)
    c.stop()


def overlap(b):
    """What only the policy before accepts makes no alarm while they overlap, over a restart too; then it does."""
    new = read(b.policy)
    b.write(30, plant=False)
    path = planted(b)
    others = b.workload.fails - 1
    put(b.policy, also(new, path))
    v = Verifier(b, options=["--policy-overlap", "%ds" % (8 * SLOW)])
    c = Collector(b, v.url, b.source)
    b.settled(v)
    fails(v, others)
    began = time.monotonic()
    put(b.policy, new)
    expect("overlap", generation(v, 2)["overlap"]["generation"], 1)
    v.kill()
    v.start()
    a = b.settled(v)
    expect("generation and overlap of the attester", (a["policy_generation"], a["overlap"]["generation"]), (2, 1))
    expect("fails inside the overlap", a["findings"]["fail"], others)
    if time.monotonic() - began > 7 * SLOW:
        raise Failure("this machine is too slow for this test")
    fails(v, others + 1)
    if time.monotonic() - began < 7 * SLOW:
        raise Failure("the alarm came inside the overlap")
    expect("overlap", in_force(v)["overlap"], None)
    code, text = policy(v, "overlap", "default", "1h")  # once more, by hand
    expect("policy overlap: " + text, code, 0)
    fails(v, others)
    expect("policy overlap 0", policy(v, "overlap", "default", "0")[0], 0)
    fails(v, others + 1)
    c.stop()


def roll_back(b):
    """An older policy in force, also after a kill, until the file says something else."""
    old = read(b.policy)
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(30, plant=False)
    path = planted(b)
    b.settled(v)
    n = b.workload.fails
    put(b.policy, also(old, path))
    generation(v, 2)
    fails(v, n - 1)
    expect("no such generation", policy(v, "rollback", "default", "7")[0], 1)
    expect("no such policy", policy(v, "rollback", "other")[0], 1)
    code, text = policy(v, "rollback", "default")
    expect("rollback: " + text, code, 0)
    if "generation 3" not in text:
        raise Failure("not said what is in force now: " + text)
    fails(v, n)
    v.kill()
    v.start()
    p = in_force(v)
    expect("after a kill", (p["generation"], p["rolled_back"]), (3, True))
    v.process.p.send_signal(signal.SIGHUP)
    said(v, "no policy changed")
    expect("after a signal", in_force(v)["generation"], 3)
    expect("fails", v.attester()["findings"]["fail"], n)
    put(b.policy, also(old, path, "/new"))
    p = generation(v, 4)
    expect("rolled back", p["rolled_back"], False)
    fails(v, n - 1)
    b.settled(v)
    c.stop()


def key(b, name):
    private, public = "%s/%s.key" % (b.dir, name), "%s/%s.pub" % (b.dir, name)
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private], check=True)
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def sign(private, path):
    """A signature beside the file, as cosign writes it."""
    r = subprocess.run(["openssl", "dgst", "-sha256", "-sign", private, path], capture_output=True, check=True)
    base64 = subprocess.run(["openssl", "base64", "-A"], input=r.stdout, capture_output=True, check=True).stdout
    put(path + ".sig", base64.decode())


def refuses_to_start(b, name, *options):
    try:
        Verifier(b, name=name, options=options)
    except Failure as e:
        if "nobody vouches" not in str(e):
            raise
        return
    raise Failure("%s: it started" % name)


def signatures(b):
    """With --policy-key nothing unsigned or wrongly signed is ever in force; a roll-back goes by today's keys."""
    old = read(b.policy)
    (private, public), (other, other_public) = key(b, "release"), key(b, "other")
    keys = b.dir + "/keys.pem"
    put(keys, read(public))
    refuses_to_start(b, "unsigned", "--policy-key", keys)
    sign(other, b.policy)
    refuses_to_start(b, "wrong", "--policy-key", keys)
    sign(private, b.policy)
    v = Verifier(b, options=["--policy-key", keys])
    if "key sha256:" not in (in_force(v)["signer"] or ""):
        raise Failure("who signed is not told: %s" % in_force(v))
    c = Collector(b, v.url, b.source)
    b.write(30, plant=False)
    b.settled(v)
    put(b.policy, also(old, "/new"))  # the signature is of the one before
    said(v, "nobody vouches")
    expect("in force", in_force(v)["generation"], 1)
    sign(other, b.policy)
    wait_for("two refusals", lambda: v.process.said().count("the rules stay as they were") >= 2)
    expect("in force", in_force(v)["generation"], 1)
    sign(private, b.policy)
    generation(v, 2)
    put(keys, read(other_public))  # the key that signed both is trusted no more
    code, text = policy(v, "rollback", "default", "1")
    expect("rollback", code, 1)
    if "nobody vouches" not in text:
        raise Failure("not said why: " + text)
    expect("in force", in_force(v)["generation"], 2)
    put(keys, read(public))
    expect("rollback", policy(v, "rollback", "default", "1")[0], 0)
    expect("in force", in_force(v)["generation"], 3)
    b.settled(v)
    c.stop()


def groups(b):
    """An attester's id chooses its policy, its own label does not; without a policy it is not trusted."""
    folder, lines = b.dir + "/policies", b.dir + "/groups"
    os.mkdir(folder)
    put(folder + "/web.json", read(b.policy))
    put(folder + "/lab.json", json.dumps({"digests": {}, "excludes": [".*"]}))
    put(lines, "node-* lab\n")
    v = Verifier(b, policy=False, options=["--policies", folder, "--groups", lines])
    c = Collector(b, v.url, b.source, name="node-17")
    b.write(30, plant=False)
    a = b.settled(v)
    expect("policy", a["policy"], None)
    expect("state and reason", (a["state"], a["reason"]), ("warning", "policy-missing"))
    put(lines, "%s web\n" % a["id"])
    wait_for("trusted", lambda: v.attester()["state"] == "trusted")
    expect("policy", v.attester()["policy"], "web")
    put(lines, "%s nobody\n" % a["id"])
    said(v, "there is no policy 'nobody'")
    expect("policy", v.attester()["policy"], "web")
    put(lines, "%s lab\n" % a["id"])
    wait_for("everything excluded", lambda: v.attester()["reason"] == "excluded")
    b.settled(v)
    c.stop()


s = Scenarios()
s.run("a replaced file, a signal, a bad file", reload)
s.run("no alarm while two policies overlap, one at the end", overlap)
s.run("roll-back holds until the file changes", roll_back)
s.run("required signatures", signatures)
s.run("groups", groups)
s.done()
