# SPDX-License-Identifier: Apache-2.0
"""Reboots, silence, and what must be refused."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import SLOW, Collector, Failure, Scenarios, Verifier, wait_for  # noqa: E402


def last_seq(v):
    return max(e["seq"] for e in v.events())


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failure("%s: seen %s, expected %s" % (what, seen, wanted))


def rejected(v, reason):
    wait_for("an event about %s" % reason,
             lambda: any(e["event"] == "rejected" and e["reason"] == reason for e in v.events()))


def reboot(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(600)
    b.compare(v, c)
    old, since, identity = b.source, last_seq(v), v.attester()["id"]
    b.tpm.reset()
    b.new_list("second-boot")
    c = Collector(b, v.url, b.source)
    b.write(50)
    b.settled(v)
    b.feed(400, 1).join()
    b.compare(v, c, since=since)
    expect("identity", v.attester()["id"], identity)
    expect("reboots reported", len([e for e in v.events() if e["event"] == "rebooted"]), 1)
    # the list of the boot before does not lead to the TPM's value now
    before = v.attester()
    c = Collector(b, v.url, old, name="old-list")
    status = c.ends()
    if status == 0 or "PCR 10" not in c.process.said():
        raise Failure("the old list was taken: status %d" % status)
    for key in ("entries", "proven", "state", "findings"):
        expect(key, v.attester()[key], before[key])


def reboot_while_the_verifier_is_down(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(300)
    b.compare(v, c)
    since = last_seq(v)
    v.kill()
    for name in ("second-boot", "third-boot"):  # one of them is never seen by the verifier
        b.tpm.reset()
        b.new_list(name)
    c = Collector(b, v.url, b.source)
    b.write(500)
    time.sleep(0.3)
    v.start()
    b.compare(v, c, since=since)


def deadline(b):
    v = Verifier(b, options=["--heartbeat", "%dms" % (500 * SLOW), "--deadline", "%dms" % (2000 * SLOW)])
    c = Collector(b, v.url, b.source)
    b.write(100, plant=False)  # untrusted would be worse than stale
    quiet = b.settled(v)
    wait_for("heartbeats bring quotes without entries", lambda: v.attester()["quotes"] >= quiet["quotes"] + 3)
    expect("state", v.attester()["state"], quiet["state"])
    c.kill()
    b.write(50)  # measured while nobody reports
    wait_for("stale", lambda: v.attester()["state"] == "stale")
    v.kill()
    v.start()
    expect("state after a restart of the verifier", v.attester()["state"], "stale")
    stale = [e for e in v.events() if e["event"] == "state" and e["reason"] == "stale"]
    expect("events about staleness", len(stale), 1)
    c.start()
    b.settled(v)
    wait_for("recovered", lambda: any(e["event"] == "recovered" for e in v.events()))
    b.compare(v, c)


def deadline_passes_while_down(b):
    v = Verifier(b, options=["--heartbeat", "500ms", "--deadline", "1500ms"])
    c = Collector(b, v.url, b.source)
    b.write(100, plant=False)
    b.settled(v)
    c.kill()
    v.kill()
    time.sleep(1.6)
    v.start()
    expect("state at once", v.attester()["state"], "stale")
    c.start()
    wait_for("recovered", lambda: any(e["event"] == "recovered" for e in v.events()))
    b.compare(v, c)


def test_source_refused(b):
    v = Verifier(b, trust=False, options=["--trust-on-first-use"])
    b.write(10)
    c = Collector(b, v.url, b.source)
    wait_for("a word about it", lambda: "test-source" in c.process.said())
    expect("attesters", v.attesters(), [])
    rejected(v, "test-source")


def test_source_must_be_said(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    c.kill()
    c.argv.remove("--test-source")
    c.start()
    expect("exit code", c.ends(), 2)
    if "--test-source" not in c.process.said():
        raise Failure("it does not say why")


def key_must_be_known(b):
    v = Verifier(b, trust=False, options=["--allow-test-sources"])
    b.write(100)
    c = Collector(b, v.url, b.source)
    rejected(v, "attester-unknown")
    wait_for("a word about it", lambda: "no attester with this identity and key" in c.process.said())
    expect("attesters", v.attesters(), [])
    c.stop()
    v.stop()
    name = b.tpm.ak_name()
    if "attestation key " + name not in c.process.said():
        raise Failure("the collector does not name its key, " + name)
    with open(b.dir + "/known.ak", "w", encoding="utf-8") as f:
        f.write("# our hosts\n- %s listed-host\n" % name)
    listed = Verifier(b, "listed", trust=False, options=["--allow-test-sources", "--ak-list", b.dir + "/known.ak"])
    c = Collector(b, listed.url, b.source)
    a = b.compare(listed, c)
    expect("label of the AK list", a["label"], "listed-host")


def key_must_stay(b):
    v = Verifier(b)
    b.write(100)
    c = Collector(b, v.url, b.source)
    before = b.compare(v, c)
    c = Collector(b, v.url, b.source, name="other-key", options=["--ak-alg", "rsa2048"])
    rejected(v, "attester-key-changed")
    wait_for("a word about it", lambda: "another attestation key" in c.process.said())
    c.stop()
    expect("proven", v.attester()["proven"], before["proven"])
    c = Collector(b, v.url, b.source)  # the right key is still good
    b.write(100)
    b.compare(v, c)


def changed_list(b):
    """What was extended and what the source says now differ: the collector must not start, and must say why."""
    v = Verifier(b)
    b.write(500)
    c = Collector(b, v.url, b.source)
    before = b.settled(v)
    c.kill()
    sent = b.workload.sent
    middle = len(sent) // 2
    other = bytearray(sent[middle])
    other[-2] ^= 1
    for name, entries in (("one byte changed", sent[:middle] + [bytes(other)] + sent[middle + 1:]),
                          ("one entry removed", sent[:middle] + sent[middle + 1:]),
                          ("two exchanged", sent[:middle] + [sent[middle + 1], sent[middle]] + sent[middle + 2:]),
                          ("cut", sent[:-1])):
        path = b.dir + "/" + name.replace(" ", "-")
        with open(path, "wb") as f:
            f.write(b"".join(entries))
        c = Collector(b, v.url, path, name=name.replace(" ", "-"))
        status = c.ends()
        if status == 0 or "PCR 10" not in c.process.said():
            raise Failure("list with %s: status %d, said %s" % (name, status, c.process.said()[-500:]))
        expect("proven", v.attester()["proven"], before["proven"])
    c = Collector(b, v.url, b.source)
    b.write(100)
    b.compare(v, c)


def not_a_list(b):
    """A source that stops being a list: what came before is proven, and the collector says where it ends."""
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(100)
    before = b.settled(v)
    b.out.write(b"\xff" * 64)
    b.out.flush()
    status = c.ends()
    if status == 0 or not any(word in c.process.said() for word in ("entry 101", "after 100 entries", "entry 100")):
        raise Failure("status %d, it said %s" % (status, c.process.said()[-500:]))
    expect("proven", v.attester()["proven"], before["proven"])


s = Scenarios()
s.run("a reboot is a new list; the old one is refused", reboot)
s.run("two reboots while the verifier is down", reboot_while_the_verifier_is_down)
s.run("silence is stale, over a restart, until there is proof", deadline)
s.run("the deadline passes while the verifier is down", deadline_passes_while_down)
s.run("a test source is refused unless it is allowed", test_source_refused)
s.run("a test source must be called one", test_source_must_be_said)
s.run("an unknown key is refused, a listed one is taken", key_must_be_known)
s.run("another key under a known identity is refused", key_must_stay)
s.run("a changed list does not lead to PCR 10", changed_list)
s.run("a source that is no list", not_a_list)
s.done()
