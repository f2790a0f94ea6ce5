# SPDX-License-Identifier: Apache-2.0
"""Nothing lost, nothing twice, when programs die at any moment."""

import os
import resource
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import Collector, Failure, Scenarios, Verifier, scaled, wait_for  # noqa: E402

ROUNDS = 10


def kill_collector(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    feeder = b.feed(scaled(3000), 3.5)
    for _ in range(ROUNDS):
        time.sleep(b.random.uniform(0, 0.6))
        c.kill()
        c.start()
    feeder.join()
    b.compare(v, c)
    return "%d entries" % b.workload.count


def kill_verifier(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    feeder = b.feed(scaled(3000), 3.5)
    for _ in range(ROUNDS):
        time.sleep(b.random.uniform(0, 0.6))
        v.kill()
        time.sleep(b.random.choice((0, 0, 0.1)))
        v.start()
    feeder.join()
    b.compare(v, c)
    return "%d entries" % b.workload.count


def kill_both(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    feeder = b.feed(scaled(2000), 3)
    for _ in range(5):
        time.sleep(b.random.uniform(0.1, 0.6))
        v.kill()
        c.kill()
        with open(v.event_file, "a", encoding="utf-8") as f:
            f.write('{"schema":1,"seq":1')  # as when the kill had come in the middle of a line
        if b.random.random() < 0.5:
            c.start()
            time.sleep(b.random.uniform(0, 0.2))
            v.start()
        else:
            v.start()
            c.start()
    feeder.join()
    b.compare(v, c)


def verifier_away(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(200)
    b.settled(v)
    v.kill()
    b.feed(scaled(2000), 1.5).join()
    time.sleep(1)
    v.start()
    b.compare(v, c)


def window_exceeded(b):
    """More than the collector keeps in memory (16 MiB) waits for the verifier: the list is read again."""
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(200)
    b.settled(v)
    v.kill()
    b.workload.padding = 3500
    n = 6000
    for _ in range(60):
        b.write(n // 60)
    wait_for("the collector has read all of it", lambda: c.stats()["entries"] == b.workload.count, 60)
    v.start()
    b.compare(v, c)
    return "%d MiB of entries" % (os.path.getsize(b.source) >> 20)


def store_from_backup(b):
    """The verifier comes back with an older state: the collector sends again from there."""
    v = Verifier(b, "first")
    c = Collector(b, v.url, b.source)
    b.write(300, plant=False)
    b.settled(v)
    v.stop()
    shutil.copy(v.dir + "/verifier.db", b.dir + "/backup.db")
    v.start()
    b.write(700, plant=False)
    b.settled(v)
    v.stop()
    restored = Verifier(b, "restored", listen=v.url, store=b.dir + "/backup.db")
    b.write(300)
    b.compare(restored, c)


def fresh_store(b):
    """The verifier has lost everything: from the first entry again."""
    v = Verifier(b, "first")
    c = Collector(b, v.url, b.source)
    b.write(1000, plant=False)
    b.settled(v)
    v.kill()
    other = Verifier(b, "second", listen=v.url)
    b.write(200)
    b.compare(other, c)


def disk_full(b):
    """What cannot be stored is not acknowledged; nothing is lost when there is room again."""
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(300)
    b.settled(v)
    pid = v.process.p.pid
    largest = max(os.path.getsize(v.store), os.path.getsize(v.store + "-wal"))
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest + 8192, hard))
    b.feed(scaled(2000), 1.5).join()
    wait_for("a word about it", lambda: "nothing of it was acknowledged" in v.process.said())
    stored = v.attester()["entries"]
    if stored == b.workload.count:
        raise Failure("all of it was stored: the limit did not bite")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    b.compare(v, c)
    return "%d entries, %d stored while the disk was full" % (b.workload.count, stored)


s = Scenarios()
s.run("the collector killed %d times" % ROUNDS, kill_collector)
s.run("the verifier killed %d times" % ROUNDS, kill_verifier)
s.run("both killed at once, 5 times", kill_both)
s.run("the verifier away for a while", verifier_away)
s.run("more entries than the collector's memory holds", window_exceeded)
s.run("the verifier's store restored from a backup", store_from_backup)
s.run("the verifier's store lost", fresh_store)
s.run("the verifier's disk full for a while", disk_full)
s.done()
