# SPDX-License-Identifier: Apache-2.0
"""What people decide about hosts, by `imastream enrol`, with a collector and a TPM: who may, who did, and what it does."""

import atexit
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import BIN, SLOW, Collector, Failure, Scenarios, Tpm, Verifier, wait_for  # noqa: E402

ME = "uid %d (%s)" % (os.geteuid(), pwd.getpwuid(os.geteuid()).pw_name)


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failure("%s: seen %s, expected %s" % (what, seen, wanted))


def contains(what, text, *parts):
    for part in parts:
        if part not in text:
            raise Failure("%s: %r is not in it: %s" % (what, part, text))


def imastream(*argv, program=BIN + "/imastream", user=None):
    r = subprocess.run([program] + list(argv), capture_output=True, text=True, check=False, user=user,
                       extra_groups=[] if user is not None else None, group=user)
    return r.returncode, r.stdout + r.stderr


def enrol(v, *argv, **how):
    return imastream("enrol", *argv, "--control", v.control, **how)


def done(v, *argv):
    code, text = enrol(v, *argv)
    expect("enrol %s: %s" % (" ".join(argv), text), code, 0)
    return text


def refused(v, *argv, code=1, says, **how):
    got, text = enrol(v, *argv, **how)
    expect("enrol %s: %s" % (" ".join(argv), text), got, code)
    contains("enrol " + " ".join(argv), text, says)


def rows(v):
    return json.loads(done(v, "list", "--json"))["enrolments"]


def refusals(v):
    return json.loads(imastream("status", "--json", "--control", v.control)[1])["refused"]


def log(v, *argv):
    return [(r["action"], r["who"], r["why"]) for r in json.loads(done(v, "log", *argv, "--json"))["log"]]


def manual(b, **how):
    return Verifier(b, options=["--enrol", "manual", "--allow-test-sources"], trust=False,
                    **how)


def waiting(v, n=1):
    return wait_for(lambda: "%d that wait, seen %s" % (n, rows(v)),
                    lambda: (lambda r: len(r) == n and r)([r for r in rows(v) if r["status"] == "pending"]))


def becomes(v, state, reason):
    wait_for(lambda: "%s because of %s, seen %s" % (state, reason, v.attester()),
             lambda: (v.attester().get("state"), v.attester().get("reason")) == (state, reason))


def again(c):
    """It asks at once."""
    c.kill()
    c.start()


def approve(b):
    """One that waits is shown with the command that lets it in; then it is trusted, also after a restart."""
    v = manual(b)
    expect("nobody", done(v, "list"), "No host has come yet.\n")
    c = Collector(b, v.url, b.source, name="web-1")
    b.write(20, plant=False)
    row = waiting(v)[0]
    expect("row", (row["label"], row["how"], row["ek"], row["certificate"]), ("web-1", "manual", True, None))
    text = done(v, "list")
    contains("list", text, "pending", "web-1", row["id"][:12], "imastream enrol approve " + row["id"][:12])
    if max(len(line) for line in text.split("\n")) > 80:
        raise Failure("wider than 80 columns: " + text)
    code, text = imastream("status", "--control", v.control)
    expect("status: " + text, code, 4)
    contains("status", text, "1 host waits", "imastream enrol approve " + row["id"][:12])
    expect("entries of one that waits", v.attester()["entries"], 0)
    refused(v, "approve", row["id"][:3], says="at least 4 digits")
    refused(v, "approve", "web-2", says="no host has the id or label 'web-2'")
    refused(v, "revoke", "web-1", says="it is not enrolled")
    expect("decisions", [r[0] for r in log(v)], ["pending"])
    time.sleep(5)  # longer than its first pauses: they do not grow
    contains("approve", done(v, "approve", row["id"][:4].upper(), "--why", "ticket 'α'"), row["id"], "approved by " + ME)
    began = time.monotonic()
    wait_for("a session", lambda: v.attester()["session_since"])
    late = time.monotonic() - began
    if late > 1.5 * SLOW:
        raise Failure("in %.1f s after it was approved" % late)
    b.settled(v)
    expect("state", v.attester()["state"], "trusted")
    expect("log", log(v)[-1], ("approved", ME, "ticket 'α'"))
    events = [e for e in v.events() if e["event"] == "enrolled"]
    if len(events) != 1 or ME not in json.dumps(events[0]):
        raise Failure("no event that says who: %s" % events)
    v.kill()
    v.start()
    expect("after a restart", [r["status"] for r in rows(v)], ["enrolled"])
    contains("log", done(v, "log", "web-1"), "approved", ME)
    refused(v, "approve", "web-1", says="does not wait")
    c.stop()
    return "in %.2f s after the approval" % late


def reject(b):
    """One that is rejected stays out, also over a restart of both."""
    v = manual(b)
    c = Collector(b, v.url, b.source)
    b.write(5, plant=False)
    waiting(v)
    done(v, "reject", "collector", "--why", "not ours")
    again(c)
    wait_for("the collector hears of it", lambda: "enrol-rejected" in c.process.said())
    becomes(v, "untrusted", "enrol-rejected")
    v.kill()
    v.start()
    again(c)
    becomes(v, "untrusted", "enrol-rejected")
    expect("list", [(r["status"], r["label"]) for r in rows(v)], [("rejected", "collector")])
    expect("entries", v.attester()["entries"], 0)
    refused(v, "approve", "collector", says="forget")
    c.stop()


def revoke(b):
    """One that is revoked loses its session at once and does not come back; forgotten, it asks anew."""
    v = manual(b)
    c = Collector(b, v.url, b.source)
    b.write(10, plant=False)
    done(v, "approve", waiting(v)[0]["id"])
    again(c)
    b.settled(v)
    contains("revoke", done(v, "revoke", "collector", "--why", "stolen"), "revoked by " + ME)
    expect("at once", (v.attester()["state"], v.attester()["reason"], v.attester()["session_since"]),
           ("untrusted", "attester-revoked", None))
    wait_for("the collector hears of it", lambda: "attester-revoked" in c.process.said())
    b.write(5, plant=False)
    again(c)
    wait_for("it is refused", lambda: [e for e in v.events() if e["event"] == "rejected" and
                                       e["reason"] == "attester-revoked"])
    expect("entries", v.attester()["entries"], 10)
    identity = rows(v)[0]["id"]
    done(v, "forget", "collector")
    expect("all that decided", [x[0] for x in log(v, identity)], ["pending", "approved", "revoked", "forgotten"])
    expect("who decided", {x[1] for x in log(v, identity)[1:]}, {ME})
    again(c)
    expect("the same host", waiting(v)[0]["id"], identity)
    done(v, "approve", identity[:8])
    again(c)
    b.settled(v)
    expect("state", v.attester()["state"], "trusted")
    c.stop()


def no_rule(b):
    """One that no rule lets in is no attester, but the status says who it is and why."""
    v = Verifier(b, options=["--enrol", "preauth", "--allow-test-sources"], trust=False)
    c = Collector(b, v.url, b.source, name="strange \x1b[2J")
    wait_for("it is refused", lambda: refusals(v))
    row = refusals(v)[0]
    expect("refused", (row["label"], row["reason"]), ("strange \x1b[2J", "attester-unknown"))
    contains("its log", c.process.said(), "attester " + row["id"])
    expect("enrolments", rows(v), [])
    code, text = imastream("status", "--control", v.control)
    expect("status: " + text, code, 4)
    if "No collector has come yet" in text:
        raise Failure("one has come: " + text)
    contains("status", text, "1 host was refused", "strange \\x1b[2J", row["id"][:12], "imastream explain attester-unknown")
    c.stop()


def which(b):
    """Two hosts that call themselves the same, and one that calls itself by the id of another."""
    v = manual(b)
    one = Collector(b, v.url, b.source, name="twin")
    b.write(2, plant=False)
    first = waiting(v)[0]["id"]
    one.kill()
    two = Collector(b, v.url, b.source, name="twin", tpm=Tpm(b.dir))
    second = [r["id"] for r in waiting(v, 2) if r["id"] != first][0]
    two.kill()
    refused(v, "approve", "twin", says="2 hosts match")
    refused(v, "approve", "twin", says=second[:16])
    three = Collector(b, v.url, b.source, name=first, tpm=Tpm(b.dir))
    waiting(v, 3)
    three.kill()
    done(v, "reject", first)
    expect("rejected", [r["id"] for r in rows(v) if r["status"] == "rejected"], [first])


def who(b):
    """Only whom the Unix socket lets in may decide; over TCP everybody may only look. A change of policy says who, too."""
    open_to_all = tempfile.mkdtemp(prefix="imastream-enrol-", dir="/tmp")
    atexit.register(shutil.rmtree, open_to_all, True)
    os.chmod(open_to_all, 0o755)
    v = manual(b, control="ipc://%s/control" % open_to_all)
    c = Collector(b, v.url, b.source)
    b.write(2, plant=False)
    identity = waiting(v)[0]["id"]
    if os.geteuid() == 0:  # only root can be somebody else
        theirs = shutil.copy(BIN + "/imastream", open_to_all)
        refused(v, "approve", identity, code=5, says="Permission denied", program=theirs, user=65534)
        expect("still", [r["status"] for r in rows(v)], ["pending"])
        os.chmod(open_to_all + "/control", 0o666)
        code, text = enrol(v, "reject", identity, program=theirs, user=65534)
        expect("another user that may open the socket: " + text, code, 0)
        contains("who", log(v)[-1][1], "uid 65534")
        done(v, "forget", identity)
    with open(b.policy, "a", encoding="utf-8") as f:
        f.write("\n")
    code, text = imastream("policy", "rollback", "default", "1", "--control", v.control)
    rows_of = json.loads(imastream("policy", "history", "--json", "--control", v.control)[1])["history"]
    # the file that has changed may be in force again by now: nobody's doing
    expect("policy rollback: " + text, (code, [r["who"] for r in rows_of if r["who"]]), (0, [ME]))
    c.kill()
    v.stop()
    v.control = "tcp://127.0.0.1:0"
    v.start()
    again(c)
    identity = waiting(v)[0]["id"]
    for what in ("approve", "reject", "revoke", "forget"):
        refused(v, what, identity, says="Unix socket of this machine only")
    expect("still", [r["status"] for r in rows(v)], ["pending"])
    c.stop()


s = Scenarios()
s.run("one that waits is listed and approved", approve)
s.run("one that waits is rejected", reject)
s.run("revoked, forgotten, enrolled anew", revoke)
s.run("refused by the rules", no_rule)
s.run("which host is meant", which)
s.run("who may decide, and who did", who)
s.done()
