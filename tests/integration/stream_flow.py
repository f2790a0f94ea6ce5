# SPDX-License-Identifier: Apache-2.0
"""Nothing lost, nothing twice, when all goes well: backlogs, bursts, single entries, sources, modes, several
verifiers."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import Bench, Collector, Failure, Scenarios, Verifier, scaled, wait_for  # noqa: E402


def backlog_burst_single(b):
    b.write(scaled(5000))
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.settled(v)
    for _ in range(20):
        b.write(scaled(100))
    after_burst = b.settled(v)["quotes"]
    for i in range(50):
        b.write(1, plant=i % 10 == 0)
        time.sleep(b.random.uniform(0, 0.05))
    quotes = b.settled(v)["quotes"]
    b.compare(v, c)
    return "%d entries, %d quotes, %d of them for 50 single entries" % (b.workload.count, quotes, quotes - after_burst)


def each_single_entry_has_its_quote(b):
    b.write(1)
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.settled(v)
    before = v.attester()["quotes"]
    for _ in range(10):
        b.write(1)
        b.settled(v)
    quotes = v.attester()["quotes"] - before
    if quotes < 10:
        raise Failure("%d quotes for 10 entries that came after idleness" % quotes)
    b.compare(v, c)


def other_banks(b):
    v = Verifier(b)
    b.write(200)
    c = Collector(b, v.url, b.source, options=["--bank", "sha384"])
    b.compare(v, c, bank="sha384")


def rsa_key(b):
    v = Verifier(b)
    b.write(200)
    c = Collector(b, v.url, b.source, options=["--ak-alg", "rsa2048"])
    b.settled(v)
    b.write(100)
    b.compare(v, c)


def fifo(b):
    path = b.dir + "/fifo"
    os.mkfifo(path)
    v = Verifier(b)
    c = Collector(b, v.url, path)
    b.out.close()
    b.out = open(path, "wb")
    b.feed(scaled(1500), 1).join()
    b.settled(v)
    b.out.close()  # writers come and go
    b.out = open(path, "wb")
    b.write(100)
    b.compare(v, c)


def descriptor(b):
    r, w = os.pipe()
    b.out.close()
    b.out = os.fdopen(w, "wb")
    v = Verifier(b)
    c = Collector(b, v.url, r, fds=(r,))
    os.close(r)
    b.feed(scaled(1500), 1).join()
    b.out.close()  # end of file: nothing more comes, what came is proven all the same
    b.compare(v, c)


def poll_mode(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source, options=["--mode", "poll", "--interval", "300ms"])
    b.feed(scaled(1500), 2).join()
    b.compare(v, c)
    return "%d quotes" % v.attester()["quotes"]


def two_verifiers(b):
    first, second = Verifier(b, "first"), Verifier(b, "second")
    b.write(300)
    c = Collector(b, [first.url, second.url], b.source)
    b.settled(first)
    b.settled(second)
    feeder = b.feed(scaled(1500), 2)
    time.sleep(0.5)
    second.kill()  # must not hold up the other
    time.sleep(0.5)
    second.start()
    feeder.join()
    b.compare(first)
    b.compare(second, c)
    if first.attester()["id"] != second.attester()["id"]:
        raise Failure("the attester's identity differs")


def fail_over_resumes(b):
    """What the next one of a group has stored already is not sent again."""
    first, second = Verifier(b, "first"), Verifier(b, "second")
    proxy = b.proxy(second)
    b.workload.padding = 500  # bytes that do not compress: what crosses the wire can be told from what does not
    c = Collector(b, first.url + "," + proxy.url(), b.source)
    b.write(scaled(3000), plant=False)
    b.settled(first)
    first.kill()
    b.settled(second)
    all_of_it = proxy.bytes["up"]
    for there, gone, seen in ((first, second, None), (second, first, proxy)):
        before = proxy.bytes["up"]
        there.start()
        gone.kill()
        b.write(5)
        b.settled(there)
        if seen and proxy.bytes["up"] - before > all_of_it / 10:
            raise Failure("%d bytes for 10 new entries; all of it was %d" % (proxy.bytes["up"] - before, all_of_it))
        if there is first:
            wait_for("the collector knows", lambda: c.stats()["proven"] == b.workload.count)
    b.compare(second, c)
    return "%d bytes at first, %d after the fail-over" % (all_of_it, proxy.bytes["up"] - all_of_it)


def fail_over(b):
    first, second = Verifier(b, "first"), Verifier(b, "second")
    c = Collector(b, first.url + "," + second.url, b.source)
    b.write(300)
    b.settled(first)
    if second.attesters():
        raise Failure("the second of a fail-over group was used while the first was there")
    first.kill()
    b.write(300)
    b.compare(second, c)


def fail_over_while_idle(b):
    """Nothing is measured when the first verifier dies: the second one hears of the host all the same."""
    first, second = Verifier(b, "first"), Verifier(b, "second")
    c = Collector(b, first.url + "," + second.url, b.source)
    b.write(300)
    b.settled(first)
    wait_for("all acknowledged", lambda: c.stats()["proven"] == b.workload.count)
    first.kill()
    b.compare(second, c)


def two_hosts(b):
    """Two TPMs, two collectors, one verifier: nothing of one is taken for the other's."""
    v = Verifier(b)
    other = Bench("the other host")
    try:
        b.label, other.label = "one", "two"
        collectors = [Collector(x, v.url, x.source, name=x.label) for x in (b, other)]
        feeders = [x.feed(scaled(1000), 1) for x in (b, other)]
        for f in feeders:
            f.join()
        v.kill()
        v.start()
        for x, c in zip((b, other), collectors):
            x.write(100)
            x.compare(v, c)
        if len({a["id"] for a in v.attesters()}) != 2:
            raise Failure("two hosts, one identity")
    finally:
        other.close()


def idle(b):
    v = Verifier(b, options=["--heartbeat", "60s", "--deadline", "200s"])
    proxy = b.proxy(v)
    b.write(500)
    c = Collector(b, proxy.url(), b.source)
    b.settled(v)
    wait_for("the collector knows that everything is proven", lambda: c.stats()["proven"] == b.workload.count)
    time.sleep(0.5)
    before, moved = c.stats(), dict(proxy.bytes)
    time.sleep(3)
    after = c.stats()
    if proxy.bytes != moved:
        raise Failure("bytes on the wire while idle: %s, before %s" % (proxy.bytes, moved))
    for key in ("quotes", "tpm_commands"):
        if after[key] != before[key]:
            raise Failure("%s went from %d to %d while idle" % (key, before[key], after[key]))
    # the question for the statistics is one
    if after["loop_wakeups"] - before["loop_wakeups"] > 1:
        raise Failure("the loop woke up %d times while idle" % (after["loop_wakeups"] - before["loop_wakeups"]))
    b.write(1)  # and it still works
    b.compare(v, c)


def graceful_stop(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(300)
    b.settled(v)
    v.stop()
    b.write(300)
    time.sleep(0.2)
    v.start()
    b.settled(v)
    c.stop()
    b.write(300)
    c.start()
    b.settled(v)
    feeder = b.feed(scaled(1000), 1)
    time.sleep(0.4)
    c.stop()
    v.stop()
    feeder.join()
    c.start()
    v.start()
    b.compare(v, c)
    v.stop()


s = Scenarios()
s.run("a backlog, a burst, and single entries", backlog_burst_single)
s.run("each entry after idleness gets a quote of its own", each_single_entry_has_its_quote)
s.run("quotes over the sha384 bank", other_banks)
s.run("RSA-2048 attestation key", rsa_key)
s.run("source: FIFO", fifo)
s.run("source: descriptor, and its end", descriptor)
s.run("poll mode gives the same", poll_mode)
s.run("two verifiers get the same, one killed meanwhile", two_verifiers)
s.run("fail-over sends only what is not stored there", fail_over_resumes)
s.run("fail-over to the second verifier", fail_over)
s.run("fail-over while nothing happens", fail_over_while_idle)
s.run("two hosts at one verifier", two_hosts)
s.run("idle: no quote, no TPM command, no wake-up, no byte", idle)
s.run("graceful stop of either side", graceful_stop)
s.done()
