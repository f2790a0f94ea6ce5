# SPDX-License-Identifier: Apache-2.0
"""Reset, suspend, restart and power loss of a TPM, told apart by what it signs."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import Collector, Failure, Scenarios, Verifier, wait_for  # noqa: E402


def count(v, kind, since=0):
    return len([e for e in v.events() if e["event"] == kind and e["seq"] > since])


def last_seq(v):
    return max(e["seq"] for e in v.events())


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failure("%s: seen %s, expected %s" % (what, seen, wanted))


def streaming(b, entries=200):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(entries)
    b.settled(v)
    c.stop()
    return v, c


def suspend_and_resume(b):
    v, c = streaming(b)
    before, since = v.attester(), last_seq(v)
    for n in (1, 2):
        b.tpm.suspend()
        c.start()
        b.write(50)
        b.settled(v)
        c.stop()
        expect("resumes told", count(v, "resumed", since), n)
    after = v.attester()
    expect("reset count", after["reset_count"], before["reset_count"])
    expect("restart count", after["restart_count"], before["restart_count"] + 2)
    expect("reboots told", count(v, "rebooted"), 0)
    c.start()
    b.compare(v, c)


def suspend_then_reboot(b):
    v, c = streaming(b)
    b.tpm.suspend()
    c.start()
    b.write(20)
    b.settled(v)
    c.stop()
    before, since = v.attester(), last_seq(v)
    b.tpm.orderly_reset()
    b.new_list("second-boot")
    c = Collector(b, v.url, b.source)
    b.write(80)
    b.compare(v, c, since=since)
    after = v.attester()
    expect("reset count", after["reset_count"], before["reset_count"] + 1)
    expect("restart count", after["restart_count"], 0)
    expect("reboots told", count(v, "rebooted", since), 1)
    expect("clock-unsafe told", count(v, "clock-unsafe", since), 0)


def power_loss(b):
    v, c = streaming(b)
    since = last_seq(v)
    b.tpm.reset()  # nobody said TPM2_Shutdown
    b.new_list("second-boot")
    c = Collector(b, v.url, b.source)
    b.write(50)
    b.compare(v, c, since=since)
    expect("reboots told", count(v, "rebooted", since), 1)
    expect("clock-unsafe told", count(v, "clock-unsafe", since), 1)
    c.start()
    b.write(50)
    b.settled(v)
    expect("clock-unsafe told once", count(v, "clock-unsafe", since), 1)


def restart_resets_pcrs(b):
    """Hibernation's TPM Restart: no reset is counted and PCR 10 is zero. The old list cannot lead there."""
    v, c = streaming(b)
    b.tpm.restart()
    b.new_list("made-up")
    c = Collector(b, v.url, b.source)
    b.write(50, plant=False)
    wait_for("untrusted", lambda: v.attester()["state"] == "untrusted" and
             {"list-tampered", "kexec-gap"} & set(v.attester()["reasons"]))
    expect("reboots told", count(v, "rebooted"), 0)


s = Scenarios()
s.run("suspend and resume: the stream goes on, and it is told", suspend_and_resume)
s.run("suspend, then a reboot: a new boot, nothing worse", suspend_then_reboot)
s.run("power loss: a new boot, and the clock is not safe", power_loss)
s.run("a TPM restart with PCRs reset does not pass for a reboot", restart_resets_pcrs)
s.done()
