# SPDX-License-Identifier: Apache-2.0
"""Several verifiers: one quote serves all, none of them delays another, fail-over sends what is not stored there, and the
books of everybody balance meanwhile. Nothing here looks at a clock: what came is compared with who was able to answer."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import SLOW, Collector, Failure, Scenarios, Verifier, scaled, wait_for  # noqa: E402

QUIET = ["--heartbeat", "600s", "--deadline", "2000s"]  # no quotes but those that entries ask for


def last_quote(v):
    """Attestation structure and signature of the quote that a verifier has accepted last."""
    with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % v.store, uri=True)) as db:
        return db.execute("SELECT attest, signature FROM quotes ORDER BY boot DESC, proven DESC").fetchone()


def known_proven(b, c):
    """The collector has heard from every verifier that all is proven, and none has a quote to answer."""
    def done():
        s = c.stats()
        return s["proven"] == b.workload.count and not any(v["quote_pending"] for v in s["verifiers"]) and s
    return wait_for("the collector knows that all is proven", done)


def singles(b, c, verifiers, n):
    """Single entries; what the TPM did for them. After each, all verifiers have the same quote."""
    before = known_proven(b, c)
    for _ in range(n):
        b.write(1)
        known_proven(b, c)
        if len({last_quote(v) for v in verifiers}) != 1:
            raise Failure("not the same quote in all stores")
    after = c.stats()
    return after["quotes"] - before["quotes"], after["tpm_commands"] - before["tpm_commands"]


def one_quote_for_all(b):
    first = Verifier(b, "first", options=QUIET)
    c = Collector(b, first.url, b.source)
    b.write(100)
    b.settled(first)
    alone = singles(b, c, [first], 15)
    c.stop()
    others = [Verifier(b, name, options=QUIET) for name in ("second", "third")]
    everybody = [first] + others
    c = Collector(b, [v.url for v in everybody], b.source)
    for v in others:
        b.settled(v)
    together = singles(b, c, everybody, 15)
    for what, one, three in zip(("quotes", "TPM commands"), alone, together):
        if three > one + 1:
            raise Failure("%s for 15 entries: %d with one verifier, %d with three" % (what, one, three))
    for v in everybody[:-1]:
        b.compare(v)
    b.compare(everybody[-1], c)
    return "15 entries: %d quotes and %d TPM commands with one verifier, %d and %d with three" % (alone + together)


def resident(c):
    """The most memory that the collector had until now, MiB."""
    with open("/proc/%d/status" % c.process.p.pid, encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024


def nobody_waits(b):
    """One answers; one is stopped, one is dead and its store lost, one's connection moves no byte, one never reads."""
    names = ("good", "stopped", "lost", "stuck")
    good, stopped, lost, stuck = everybody = [Verifier(b, name) for name in names]
    proxy = b.proxy(stuck)
    mute = socket.create_server(("127.0.0.1", 0))
    urls = [stopped.url, lost.url, proxy.url(), "tcp://127.0.0.1:%d" % mute.getsockname()[1], good.url]
    c = Collector(b, urls, b.source)
    b.write(100)
    for v in everybody:
        b.settled(v)
    began = resident(c)
    stopped.process.p.send_signal(signal.SIGSTOP)
    proxy.stall(True)
    lost.kill()
    had = b.workload.count
    for _ in range(10):
        b.write(1)
        b.settled(good)
    b.workload.padding = 4000  # far more than the collector may keep in memory for those that do not come
    size = sum(len(w) for w in b.workload.sent)
    b.write(scaled(16000), plant=False)
    size = (sum(len(w) for w in b.workload.sent) - size) / 1048576
    b.workload.padding = 0
    b.settled(good)
    b.compare(good)
    s = {v["url"]: v for v in c.stats()["verifiers"]}
    for url in urls[:-1]:
        if s[url]["acknowledged"] > had:
            raise Failure("the test saw nothing, it answers: %s" % s[url])
    grown = resident(c) - began
    if SLOW == 1 and grown > 32:  # LIMIT_WINDOW_BYTES is 16 MiB
        raise Failure("%.0f MiB more memory for %.0f MiB that nobody takes" % (grown, size))
    stopped.process.p.send_signal(signal.SIGCONT)
    proxy.stall(False)
    os.unlink(lost.store)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lost.store + suffix)
    os.rename(lost.event_file, lost.event_file + ".before")
    lost.start()
    for v in (stopped, stuck, lost):
        b.compare(v)
    c.stop()  # while one never reads
    mute.close()
    return "collector +%.1f MiB with %.0f MiB for which 4 of 5 did not come" % (grown, size)


def sessions(c, url):
    """The entry from which each session with it went on."""
    return [int(line.rsplit(" ", 1)[1]) for line in c.process.said().splitlines()
            if url + ": session open, sending from entry " in line]


def expect_session(c, v, url, n):
    seen = sessions(c, url)
    if seen[-1:] != [n]:
        raise Failure("%s had %d entries, its sessions began at %s" % (os.path.basename(v.dir), n, seen))


def older_copy(b):
    """The second one of a group has the store of the first as it was some time ago: it gets what came since, once."""
    first = Verifier(b, "first")
    c = Collector(b, first.url, b.source)
    b.workload.padding = 500  # bytes that do not compress
    b.write(scaled(3000), plant=False)
    b.settled(first)
    c.stop()
    first.stop()
    second = Verifier(b, "second")
    second.stop()
    shutil.copy(first.store, second.store)
    second.start()
    first.start()
    had = b.workload.count
    proxy = b.proxy(second)
    c = Collector(b, first.url + "," + proxy.url(), b.source)
    b.workload.padding = 0
    b.write(50, plant=False)
    b.write(10, plant=True)
    b.settled(first)
    known_proven(b, c)
    if second.attester()["entries"] != had or proxy.bytes["up"]:
        raise Failure("the second one was asked while the first one was there")
    first.kill()
    b.settled(second)
    expect_session(c, second, proxy.url(), had)
    if proxy.bytes["up"] > had * 500 / 10:
        raise Failure("%d bytes for %d entries" % (proxy.bytes["up"], b.workload.count - had))
    was = b.workload.count
    first.start()
    b.write(20)
    b.settled(second)
    known_proven(b, c)
    if first.attester()["entries"] != was:
        raise Failure("the first one is back, and was asked although the second one works")
    second.kill()  # and the way back
    b.settled(first)
    expect_session(c, first, first.url, was)
    b.compare(first)
    second.start()
    b.write(5)
    b.settled(first)
    first.kill()
    b.compare(second, c)
    return "%d entries, %d in the copy; %d bytes sent to the second one" % (b.workload.count, had, proxy.bytes["up"])


def nothing_shared(b):
    """The first one hangs, while nothing happens; the second one has nothing: it gets all of it, once."""
    first = Verifier(b, "first", options=["--heartbeat", "%dms" % (500 * SLOW)])
    second = Verifier(b, "second")
    c = Collector(b, first.url + "," + second.url, b.source)
    b.write(scaled(1000))
    b.settled(first)
    known_proven(b, c)
    second.process.p.send_signal(signal.SIGSTOP)
    first.process.p.send_signal(signal.SIGSTOP)
    turned = {}

    def asks_second():
        turned.update(c.stats()["verifiers"][0])
        return turned["url"] == second.url
    wait_for("the second one's turn", asks_second)
    if turned["acknowledged"] or turned["proven"] or turned["waiting"] != b.workload.count:
        raise Failure("it has not said a word yet, and the books have it: %s" % turned)
    second.process.p.send_signal(signal.SIGCONT)
    b.compare(second)
    expect_session(c, second, second.url, 0)
    if len(sessions(c, second.url)) != 1:
        raise Failure("sessions with the second one: %s" % sessions(c, second.url))
    b.write(100)
    b.settled(second)
    second.kill()
    first.process.p.send_signal(signal.SIGCONT)
    b.compare(first, c)


def books(before, a, after):
    """What a verifier shows, between two looks at the collector's books: the truth of three moments in a row."""
    if not before["acknowledged"] <= a["entries"] <= after["acknowledged"] + after["in_flight"]:
        return "%d entries stored; the collector said %s before and %s then" % (a["entries"], before, after)
    if not before["proven"] <= a["proven"] <= a["entries"]:
        return "%d of %d proven; the collector said %s before" % (a["proven"], a["entries"], before)
    return None


def at_any_moment(b):
    """Single verifiers and a group, stopped, killed and failing over during bursts: every snapshot balances, and what each side
    says of the other is true. The verifiers are asked between two looks at the collector."""
    first, second, third = everybody = [Verifier(b, name) for name in ("first", "second", "third")]
    c = Collector(b, [first.url, second.url + "," + third.url], b.source)
    b.write(100)
    b.settled(first)
    b.settled(second)
    by_url = {v.url: v for v in everybody}
    looks = 0

    def look(verifiers):
        nonlocal looks
        one, shown, two = c.stats(), {v.url: v.attester() for v in verifiers}, c.stats()
        for s in (one, two):
            if s["measured"] > s["entries"] or s["entries"] > b.workload.count:
                raise Failure("measured %d, seen %d, written %d" % (s["measured"], s["entries"], b.workload.count))
            for v in s["verifiers"]:
                if v["acknowledged"] + v["in_flight"] + v["waiting"] != s["entries"] or v["proven"] > v["acknowledged"]:
                    raise Failure("of %d entries seen: %s" % (s["entries"], v))
        for x, y in zip(one["verifiers"], two["verifiers"]):
            a = shown.get(x["url"])
            if x["url"] == y["url"] and a:
                wrong = books(x, a, y)
                if wrong:
                    raise Failure(os.path.basename(by_url[x["url"]].dir) + ": " + wrong)
            if a and a["measured"] is not None and a["measured"] > max(two["measured"], a["entries"]):
                raise Failure("the collector told of %d entries, and measured %d" % (a["measured"], two["measured"]))
            if not a and x["acknowledged"] and x["url"] == y["url"] and x["url"] in shown:
                raise Failure("nothing is stored there: %s" % x)
        looks += 1

    feeder = b.feed(scaled(3000), 2)
    for _ in range(3):
        look(everybody)
    feeder.join()
    had = b.workload.count
    first.process.p.send_signal(signal.SIGSTOP)  # has some of what comes now in flight, and the rest waits
    feeder = b.feed(scaled(3000), 2)
    look([second, third])
    second.kill()
    for _ in range(5):
        look([third])
    feeder.join()
    b.settled(third)
    look([third])
    v = c.stats()["verifiers"][0]
    if v["acknowledged"] > had or not v["waiting"]:
        raise Failure("the test saw nothing: %d entries, when it was stopped %d, and %s" % (b.workload.count, had, v))
    first.process.p.send_signal(signal.SIGCONT)
    look([first, third])
    for v in (first, third):
        b.settled(v)
        wait_for("the count of the last quote", lambda v=v: v.attester()["measured"] == b.workload.count)
        a = v.attester()
        if a["in_flight"] or "count-mismatch" in a["reasons"]:
            raise Failure("at the end: %s" % json.dumps(a))
    s = known_proven(b, c)
    for v in s["verifiers"]:
        if (v["acknowledged"], v["in_flight"], v["waiting"]) != (b.workload.count, 0, 0) or s["measured"] != b.workload.count:
            raise Failure("at the end: %s" % json.dumps(s))
    b.compare(first)
    b.compare(third, c)
    return "%d looks" % looks


s = Scenarios()
s.run("one quote serves all verifiers", one_quote_for_all)
s.run("nobody waits for one that does not come", nobody_waits)
s.run("fail-over to an older copy, and back", older_copy)
s.run("fail-over to one that shares nothing, from one that hangs", nothing_shared)
s.run("the books of several verifiers, at any moment", at_any_moment)
s.done()
