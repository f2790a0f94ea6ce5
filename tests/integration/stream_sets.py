#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reference sets between real programs, with a folder, in the sandbox: fetched once, kept, replaced with the policy, done without."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import Collector, Failure, Scenarios, Verifier, wait_for  # noqa: E402
from stream_list import Workload, write_policy  # noqa: E402

RECORD = 16  # bytes of a set for each digest that the policy names: docs/WIRE.md
DIGESTS = 2  # of each file, in the policies of these tests


def expect(what, got, wanted):
    if got != wanted:
        raise Failure("%s: %s, expected %s" % (what, got, wanted))


def start(b, v, *options, name="collector"):
    """Each with a log of its own."""
    cache = b.dir + "/sets"
    os.makedirs(cache, exist_ok=True)
    return Collector(b, v.url, b.source, name=name, options=["--cache-dir", cache, *options]), cache


def in_use(c, files):
    wait_for("a reference set of %d files in use" % files, lambda: " %d records in use" % (files * DIGESTS) in c.process.said())


def kept_are(cache, *wanted):
    """Sets of so many files are in the folder, and nothing else."""
    def found():
        return sorted(os.path.getsize(os.path.join(cache, n)) // RECORD // DIGESTS for n in os.listdir(cache))
    wait_for(lambda: "sets of %s files, and no other, in the folder: %s" % (wanted, found()), lambda: found() == sorted(wanted))


def as_numbers(b, v, c):
    """Most entries of known files go as numbers of the set: those that changed, and planted ones, do not."""
    before = c.stats()["batches"]
    b.write(200, plant=False)
    b.settled(v)
    after = c.stats()["batches"]
    known = after["known"] - before["known"]
    if known < 150:
        raise Failure("%d of 200 entries went as numbers" % known)


def received(c):
    return c.stats()["wire"]["bytes_received"]


def kept(b):
    v = Verifier(b)
    c, cache = start(b, v)
    size = Workload.KNOWN * DIGESTS * RECORD
    in_use(c, Workload.KNOWN)
    kept_are(cache, Workload.KNOWN)
    if received(c) < size:
        raise Failure("the set was not fetched: %d bytes received" % received(c))
    as_numbers(b, v, c)
    c.stop()

    c, cache = start(b, v, name="again")
    in_use(c, Workload.KNOWN)
    as_numbers(b, v, c)
    if received(c) >= size:
        raise Failure("fetched again: %d bytes received" % received(c))
    c.stop()

    name = os.path.join(cache, os.listdir(cache)[0])
    with open(name, "r+b") as f:  # one bit, in the middle
        f.seek(size // 2)
        byte = f.read(1)[0]
        f.seek(size // 2)
        f.write(bytes([byte ^ 1]))
    c, cache = start(b, v, name="damaged")
    in_use(c, Workload.KNOWN)
    if received(c) < size:
        raise Failure("a damaged file was used: %d bytes received" % received(c))
    kept_are(cache, Workload.KNOWN)
    as_numbers(b, v, c)
    c.stop()
    b.compare(v)


def replaced(b):
    """SIGHUP brings another policy: its set comes with no pause in the stream; the folder does not collect old ones."""
    v = Verifier(b)
    c, cache = start(b, v)
    in_use(c, Workload.KNOWN)
    as_numbers(b, v, c)
    for n in (1, 2):  # more at once are fetched one a minute
        write_policy(b.policy, Workload.KNOWN + 100 * n)
        v.process.p.send_signal(signal.SIGHUP)
        wait_for("the new set", lambda: v.process.said().count("reference set of") == n + 1)
        b.write(1, plant=False)  # an answer to evidence names it
        in_use(c, Workload.KNOWN + 100 * n)
        # the one before was in use when this one came
        kept_are(cache, Workload.KNOWN + 100 * (n - 1), Workload.KNOWN + 100 * n)
        as_numbers(b, v, c)
    b.compare(v)
    c.stop()


def without(b):
    """No room for it: entries go in full, and all is as well."""
    v = Verifier(b)
    c, cache = start(b, v, "--reference-max", "0")
    b.write(300)
    b.settled(v)
    expect("entries as numbers", c.stats()["batches"]["known"], 0)
    expect("files in the folder", os.listdir(cache), [])
    b.compare(v)
    c.stop()


s = Scenarios()
s.run("fetched once, kept over a restart, fetched again when its file is damaged", kept)
s.run("another policy, another set", replaced)
s.run("without a set", without)
s.done()
