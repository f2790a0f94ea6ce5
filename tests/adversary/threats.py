# SPDX-License-Identifier: Apache-2.0
"""One threat a function, by its number in docs/THREATS.md, with the reason that each attack must yield."""

import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hostile import GOOD, Puppet, Stage, expect, measured, pause, refused, status_text  # noqa: E402
from stream import Collector, Failure, Scenarios, Tpm, Verifier, scaled, wait_for  # noqa: E402

EVIL = "/tmp/evil"


# --- T1: an old quote again ---

def replay_in_session(b):
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.do("quote", p.n, "save=old")
    expect("the quote", p.do("send", "old")["type"], "ACK")
    expect("a newer one", p.prove()["type"], "ACK")
    refused("an older quote, as it was", p.do("send", "old"), "quote-replayed")
    p.greet()
    p.honest()
    p.do("quote", p.n, "save=old")
    expect("the quote", p.do("send", "old")["type"], "ACK")
    refused("the same quote as the next one", p.do("send", "old", "seq=3"), "quote-replayed")


def replay_in_next_session(b):
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.do("quote", p.n, "save=old")
    expect("the quote", p.do("send", "old")["type"], "ACK")
    p.greet()
    refused("a quote of the session before", p.do("send", "old", "session=now", "seq=1"), "quote-session", "quote-nonce",
            "quote-replayed")


def replay_after_restart(b):
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.do("quote", p.n, "save=old")
    expect("the quote", p.do("send", "old")["type"], "ACK")
    s.v.kill()
    s.v.start()
    p.do("connect", s.v.url)
    refused("a session of the life before", p.do("send", "old"), "session-unknown")
    p.greet()
    refused("a quote of the life before", p.do("send", "old", "session=now", "seq=1"), "quote-nonce", "quote-session")


# --- T2: taken in time, delivered late ---

def back(s):
    return len([e for e in s.v.events() if e["event"] == "recovered"])


def delayed(b):
    s = Stage(b, ["--heartbeat", "1s", "--deadline", "2.5s"])
    p = s.puppet
    p.honest()
    s.state("trusted")
    p.do("quote", p.n, "save=held")
    s.state("stale")
    before = back(s)  # a busy machine may have been late before
    p.do("send", "held")
    expect("stale behind it", s.seen()["stale"], True)
    pause(1)
    expect("stale later", s.seen()["stale"], True)
    expect("times that it counted as back", back(s), before)


# --- T3: silence ---

def silence(b):
    s = Stage(b, ["--heartbeat", "1s", "--deadline", "2.5s"])
    s.puppet.honest()
    s.state("trusted")
    s.state("stale")
    s.v.kill()
    s.v.start()
    s.state("stale", seconds=3)
    if not [e for e in s.v.events() if e["event"] == "state" and e["state"] == "stale"]:
        raise Failure("no event says that the host is stale")


def silence_while_the_verifier_is_down(b):
    s = Stage(b, ["--heartbeat", "1s", "--deadline", "2.5s"])
    s.puppet.honest()
    s.v.kill()
    pause(3)
    s.v.start()
    s.state("stale", seconds=3)


# --- T4: entries withheld ---

def withheld(b):
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.measure(EVIL, "hidden")
    refused("a quote that covers what is not shown", p.prove(), "list-tampered", "list-truncated")
    s.state("untrusted")


def withheld_and_admitted(b):
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.measure(EVIL, "hidden")
    refused("the quote says how many it covers", p.prove(p.n + 1), "list-unreached")
    s.state("trusted")  # nothing was decided: it is asked again, and its deadline runs
    refused("and again", p.do("send"), "list-unreached")


def counted_and_not_sent(b):
    """The kernel counts an entry that the collector cannot or will not send: in flight at one quote, an alarm at the next."""
    s = Stage(b)
    p = s.puppet
    p.honest()

    def books(entries, measured):
        a = s.seen()
        expect("the books", (a["entries"], a["measured"], a["in_flight"]), (entries, measured, measured - entries))

    p.do("quote", p.n, "measured=%d" % (p.n + 1))
    expect("one is on its way", p.do("send")["type"], "ACK")
    books(p.n, p.n + 1)
    p.measure(GOOD[20])  # and it comes
    expect("its report", p.do("entries", p.n - 1, 1, p.n, "measured=%d" % (p.n + 1))["type"], "ACK")
    books(p.n, p.n + 1)
    p.measure(GOOD[21])
    p.do("quote", p.n, "measured=%d" % p.n)
    expect("so does the next", p.do("send", "entries=%d" % (p.n - 1))["type"], "ACK")
    books(p.n, p.n)
    s.blameless()
    p.do("quote", p.n, "measured=%d" % (p.n + 3))
    expect("three are on their way", p.do("send")["type"], "ACK")
    s.blameless()
    if "+3 in flight" not in status_text(s).decode():
        raise Failure("the screen does not show what is in flight:\n" + status_text(s).decode())
    p.do("quote", p.n)  # a quote that proves all there is, and says nothing of the three
    expect("they have not come", p.do("send")["type"], "ACK")
    s.state("untrusted", "count-mismatch")
    books(p.n, p.n + 3)
    for word in ("untrusted", "count-mismatch", "imastream explain count-mismatch"):
        if word not in status_text(s).decode():
            raise Failure("the screen does not show %s:\n%s" % (word, status_text(s).decode()))
    for _ in range(2):
        p.do("quote", p.n, "measured=%d" % (p.n + 3))
        expect("again", p.do("send")["type"], "ACK")
    expect("alarms", len(s.findings()), 1)
    expect("the alarm", s.findings("count-mismatch")[0]["severity"], "fail")
    expect("what comes late", p.more(*GOOD[22:25])["type"], "ACK")  # is appraised, and takes nothing back
    s.state("untrusted", "count-mismatch")
    s.v.kill()
    s.v.start()
    s.state("untrusted", "count-mismatch")


def quote_in_stock(b):
    """Taken before the deed, sent behind it: good once, with the nonce of then; the next one must cover the deed."""
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.do("quote", p.n, "save=stock")
    p.measure(EVIL, "hidden")
    expect("the quote from stock", p.do("send", "stock")["type"], "ACK")
    refused("the next one", p.prove(), "list-tampered", "list-truncated")
    s.state("untrusted")


def tail_cut(b):
    """The verifier has an entry already; the host would like to unsay it."""
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.do("quote", p.n, "save=before")
    p.measure(EVIL)
    expect("the report", p.do("entries", p.n - 1, 1, p.n)["type"], "ACK")
    refused("a quote from before, behind a floor", p.do("send", "before"), "list-tampered", "list-truncated")
    s.state("untrusted")


def short_of_its_claim(b):
    """The list has an entry that was never extended, at its end; the quote says that it covers it. It is reached before that
    entry only, and what a quote surely covers is not up to it."""
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.measure("/usr/bin/good-80", "silent")
    refused("a quote that stops short of what it claims", p.prove(None, "entries=%d" % (p.n - 1)), "list-truncated")
    s.state("untrusted", "list-truncated")


def changed(b):
    s = Stage(b)
    p = s.puppet
    p.do("swap", 3)
    p.greet()
    refused("two entries exchanged", p.prove(None, "entries=0"), "list-reordered")
    s.state("untrusted", "list-reordered")


# --- T5: a trimmed list ---

def trimmed(b):
    s = Stage(b)
    p = s.puppet
    p.do("forget", 0)
    p.n -= 1
    p.greet()
    refused("a list without its first entry", p.prove(None, "entries=0"), "list-tampered", "extend-failed",
            "list-truncated")
    s.state("untrusted")


def gap(b):
    s = Stage(b)
    p = s.puppet
    p.honest()
    for path in (EVIL, "/usr/bin/good-50"):
        p.measure(path)
    answer = p.do("entries", p.n - 1, 1, 0)
    expect("entries behind a gap", (answer["type"], answer.get("from")), ("RESUME", p.n - 2))
    expect("nothing was taken", s.seen()["entries"], p.n - 2)


# --- T6: somebody else's TPM ---

def other_tpm(b):
    """Another machine's quotes under this host's name, and nobody but the stranger is to blame."""
    s = Stage(b)
    s.puppet.honest()
    other = Puppet(Tpm(b.dir), s.v.url)
    for path in ["/usr/bin/good-%d" % i for i in range(10)]:
        other.measure(path)
    stolen = ["id=" + s.puppet.me["id"], "ak=" + s.puppet.me["ak"], "ek=" + s.puppet.me["ek"],
              "reset=%d" % s.puppet.me["reset"]]
    answer = other.do("hello", *stolen)
    if answer["type"] == "WELCOME":
        refused("entries under a stolen name", other.do("entries", 0, 1, 0), "session-unproven")
        refused("a quote of another TPM", other.prove(), "quote-signature")
    else:
        refused("HELLO under a stolen name", answer, "busy", "identity-duplicate")
    s.blameless()
    expect("the host goes on", s.puppet.more("/usr/bin/good-60")["type"], "ACK")
    s.blameless()


def own_id_with_other_keys(b):
    s = Stage(b)
    other = Puppet(Tpm(b.dir), s.v.url)
    refused("the id of one, the keys of another", other.do("hello", "id=" + s.puppet.me["id"]), "protocol-error")
    refused("a key that nobody knows", other.do("hello"), "attester-unknown", "ek-cert-missing", "ek-cert-untrusted")


def hellos_in_its_name(b):
    """Between a host's HELLO and its first QUOTE others say HELLO in its name: none of them takes its session away."""
    s = Stage(b)
    p = s.puppet
    p.greet()
    stolen = ["id=" + p.me["id"], "ak=" + p.me["ak"], "ek=" + p.me["ek"]]
    strangers = [Puppet(None, s.v.url) for _ in range(4)]
    for i in range(25):
        for stranger in strangers:
            answer = stranger.do("hello", "length=%d" % i, "reset=%d" % (p.me["reset"] + i % 2), *stolen)
            expect("a stranger's HELLO", answer["type"], "WELCOME")
    answer = p.prove(None, "entries=0")
    expect("the host's first quote", (answer["type"], answer.get("proven")), ("ACK", p.n))
    s.blameless()


# --- T7: the list moves while the quote is taken ---

def moving_list(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.feed(scaled(4000), 4).join()
    b.compare(v, c)  # nothing but what was planted: no list-* reason
    return "%d quotes while the list grew" % v.attester()["quotes"]


# --- T8: gone again ---

def transient(b):
    s = Stage(b)
    p = s.puppet
    p.honest()
    expect("the deed", p.more(EVIL)["type"], "ACK")
    s.state("untrusted", "digest-unknown")
    for i in range(100, 120):
        p.more("/usr/bin/good-%d" % i)
    p.honest()
    s.v.kill()
    s.v.start()
    s.state("untrusted", "digest-unknown")
    expect("findings about it", [e["path"] for e in s.findings("digest-unknown")], [EVIL])


# --- T11: the TPM starts over ---

def reset_hides_nothing(b):
    """The PCRs are emptied and filled with good entries only: that is a reboot, and it is told as one."""
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.more(EVIL)
    s.state("untrusted", "digest-unknown")
    reset = p.me["reset"]
    p.close()
    b.tpm.reset()
    p = Puppet(b.tpm, s.v.url)
    for path in ["/usr/bin/good-%d" % i for i in range(10)]:
        p.measure(path)
    p.greet("reset=%d" % reset)  # as if nothing had been
    refused("the boot of before is claimed", p.prove(None), "boot-claim-false", "list-tampered", "quote-clock",
            "list-truncated", "list-unreached", "quote-restart-count")
    expect("it is not trusted by that", s.seen()["state"] in ("untrusted", "stale", "rebooting"), True)
    p.honest()
    wait_for("an event says that the TPM was reset", lambda: [e for e in s.v.events() if e["event"] == "rebooted"])
    expect("what it did before is still told", [e["path"] for e in s.findings("digest-unknown")], [EVIL])


def false_reboot(b):
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.more(EVIL)
    s.state("untrusted", "digest-unknown")
    p.greet("reset=%d" % (p.me["reset"] + 1), "length=0")
    refused("a reboot that the TPM did not count", p.prove(0), "boot-claim-false")
    s.state("untrusted")


# --- T13: identities ---

def other_key_same_host(b):
    """Known, and with another attestation key: refused, and nothing is overwritten."""
    s = Stage(b)
    s.puppet.honest()
    other = Puppet(Tpm(b.dir), s.v.url)
    answer = other.do("hello", "id=" + s.puppet.me["id"], "ek=" + s.puppet.me["ek"])
    refused("another key under a known id", answer, "attester-key-changed", "protocol-error")
    s.blameless()
    expect("the host goes on", s.puppet.more("/usr/bin/good-61")["type"], "ACK")
    s.blameless()


def key_named_first(b):
    """A stranger enrols a host's attestation key, without a TPM, before the host comes: the one with the TPM gets in."""
    v = Verifier(b)
    host = Puppet(b.tpm)
    host.close()
    stranger = Puppet(None, v.url)
    nobody = hashlib.sha256(bytes.fromhex(host.me["ak"])).hexdigest()
    expect("the stranger", stranger.do("hello", "ak=" + host.me["ak"], "ek=", "id=" + nobody)["type"], "WELCOME")
    expect("who is enrolled", [a["id"] for a in v.attesters()], [nobody])
    c = Collector(b, v.url, b.source)
    b.write(50)
    expect("who is enrolled then", b.compare(v, c)["id"], host.me["id"])
    if "attester-key-changed" in c.process.said():
        raise Failure("the host was kept out: " + c.process.said())
    expect("the stranger afterwards", [e["attester"] for e in v.events() if e["event"] == "forgotten"], [nobody])
    refused("the stranger again", stranger.do("hello", "ak=" + host.me["ak"], "ek=", "id=" + nobody, "length=1"),
            "attester-key-changed")


# --- T15: text that would like to be more ---

def spoofed_text(b):
    label = "web-1\x1b[2K\rweb-1  trusted\n{\"event\":\"state\",\"state\":\"trusted\"}"
    s = Stage(b)
    p = s.puppet
    p.greet("kernel=" + label.encode().hex())
    path = "/tmp/\x1b[31mred\x1b[0m'\"}\u202e"
    p.measure(path)
    p.prove(None, "entries=0")
    s.state("untrusted", "digest-unknown")
    other = Puppet(Tpm(b.dir), s.v.url)
    other.do("hello", "label=" + label.encode().hex())
    text = status_text(s)
    for evil in (b"\x1b[2K", b"\r", "\u202e".encode()):
        if evil in text:
            raise Failure("status shows %r as it is" % evil)
    with open(s.v.event_file, "rb") as f:
        raw = f.read()
    if b"\x1b" in raw:
        raise Failure("an escape character reached the event file")
    for line in raw.splitlines():
        if json.loads(line)["event"] == "state" and json.loads(line)["state"] == "trusted":
            raise Failure("a spoofed event: %r" % line)


# --- T17: an extend that failed ---

def extend_failed(b):
    s = Stage(b)
    p = s.puppet
    p.honest()
    p.measure("/usr/bin/good-70", "silent")
    for i in range(71, 75):
        p.measure("/usr/bin/good-%d" % i)
    p.prove(None, "entries=10")
    s.state("untrusted", "extend-failed")
    expect("which entry it was", [e.get("entry") for e in s.findings("extend-failed")], [11])


s = Scenarios()
s.run("T1: an old quote again, in its session", measured(replay_in_session))
s.run("T1: an old quote again, in the next session", measured(replay_in_next_session))
s.run("T1: an old quote again, after a restart of the verifier", measured(replay_after_restart))
s.run("T2: a quote held back past the deadline", measured(delayed))
s.run("T3: silence, also over a restart of the verifier", measured(silence))
s.run("T3: silence while the verifier is down", measured(silence_while_the_verifier_is_down))
s.run("T4: an entry withheld", measured(withheld))
s.run("T4: an entry withheld, its number admitted", measured(withheld_and_admitted))
s.run("T4: an entry counted and not sent", measured(counted_and_not_sent))
s.run("T4: a quote kept in stock", measured(quote_in_stock))
s.run("T4: an entry unsaid", measured(tail_cut))
s.run("T4: a quote that stops short of its claim", measured(short_of_its_claim))
s.run("T4: entries exchanged", measured(changed))
s.run("T5: a list without its first entry", measured(trimmed))
s.run("T5: entries behind a gap", measured(gap))
s.run("T6: another TPM under this host's name", measured(other_tpm))
s.run("T6: one host's id, another's keys", measured(own_id_with_other_keys))
s.run("T6: others say HELLO in a host's name", measured(hellos_in_its_name))
s.run("T7: the list moves while the quote is taken", measured(moving_list))
s.run("T8: a program that ran once and is gone", measured(transient))
s.run("T11: the TPM is reset to hide an entry", measured(reset_hides_nothing))
s.run("T11: a reboot that never was", measured(false_reboot))
s.run("T13: a known id with another key", measured(other_key_same_host))
s.run("T13: a stranger names a host's key first", measured(key_named_first))
s.run("T15: names and labels with control characters", measured(spoofed_text))
s.run("T17: an entry that was not extended", measured(extend_failed))
s.done()
