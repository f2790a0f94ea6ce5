# SPDX-License-Identifier: Apache-2.0
"""The TCTI of the benchmarks that makes a TPM slow (tests/lib/tcti/slow.c): it changes times and nothing else. What tpm2-tools do
through it is what they do without it; every command is noted."""

import hashlib
import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import Failure, Scenarios  # noqa: E402

LIBRARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build",
                       os.environ.get("VARIANT", "default"), "tests", "libtss2-tcti-slow.so.0")
EXTEND, PCR_READ, QUOTE = 0x182, 0x17E, 0x158


def tool(b, settings, *argv):
    """A tpm2-tools command through the TCTI; the commands that it sent: (code, response, milliseconds)."""
    trace = b.dir + "/trace"
    fd = os.open(trace, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    tcti = "slow:%strace=%d,inner=%s" % (settings, fd, b.tpm.tcti)
    r = subprocess.run([argv[0], "-T", tcti] + list(argv[1:]), env=dict(os.environ, LD_PRELOAD=LIBRARY), pass_fds=(fd,),
                       capture_output=True, text=True, timeout=60, check=False)
    os.close(fd)
    if r.returncode:
        raise Failure("%s: %s" % (" ".join(argv), r.stderr))
    with open(trace, "rb") as f:
        records = list(struct.iter_unpack("=QQII", f.read()))
    if not records:
        raise Failure("nothing was noted")
    for before, after in zip(records, records[1:]):
        if not before[0] <= before[1] <= after[0]:
            raise Failure("times are not in order: %s, %s" % (before, after))
    return [(code, rc, (end - sent) / 1e6) for sent, end, code, rc in records]


def transparent(b):
    digest = "11" * 32
    sent = tool(b, "", "tpm2_pcrextend", "10:sha256=" + digest)
    if [rc for code, rc, _ in sent if code == EXTEND] != [0]:
        raise Failure("one extend that succeeds was expected: %s" % sent)
    if PCR_READ in [code for code, _, _ in tool(b, "", "tpm2_getrandom", "--hex", "4")]:
        raise Failure("tpm2_getrandom does not read PCRs")
    if b.tpm.pcr10()["sha256"] != hashlib.sha256(bytes(32) + bytes.fromhex(digest)).hexdigest():
        raise Failure("PCR 10 is not what was extended")


def delays(b):
    """No test asserts that something is quick; that it is not quicker than told is another thing."""
    for settings, code, least in (("extend=30,", EXTEND, 30), ("quote=200,extend=40,", EXTEND, 40)):
        took = [ms for c, _, ms in tool(b, settings, "tpm2_pcrextend", "16:sha256=" + "22" * 32) if c == code]
        if len(took) != 1 or took[0] < least:
            raise Failure("%s: extends took %s ms" % (settings, took))
    key = b.dir + "/key"
    tool(b, "", "tpm2_createprimary", "-Q", "-C", "e", "-G", "ecc256:ecdsa-sha256:null", "-c", key, "-a",
         "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign")
    took = [ms for c, _, ms in tool(b, "extend=1,quote=50,", "tpm2_quote", "-Q", "-c", key, "-l", "sha256:10") if c == QUOTE]
    if not took or min(took) < 50:
        raise Failure("quotes took %s ms" % took)


def refuses(b):
    for bad in ("slow", "slow:quote=1", "slow:inner=nothing:x"):
        r = subprocess.run(["tpm2_getrandom", "-T", bad, "4"], env=dict(os.environ, LD_PRELOAD=LIBRARY), capture_output=True,
                           timeout=60, check=False)
        if r.returncode == 0:
            raise Failure("%s was taken" % bad)
    if b.tpm.pcr10()["sha256"] != "00" * 32:
        raise Failure("the TPM was used")


s = Scenarios()
s.run("slow TCTI: the TPM does what it does without it", transparent)
s.run("slow TCTI: extends and quotes take as long as told, at least", delays)
s.run("slow TCTI: settings without a TPM behind them are refused", refuses)
s.done()
