# SPDX-License-Identifier: Apache-2.0
"""Enrolment: a real TPM, collector and verifier; who gets in, and the reason of each who does not."""

import contextlib
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import SLOW, Collector, Failure, Proxy, Scenarios, Tpm, Verifier, seed, wait_for  # noqa: E402

CERT_RSA, CERT_P256, CHAIN = 0x01C00002, 0x01C0000A, 0x01C00100  # TCG EK Credential Profile, 2.2.1.4 and 2.2.1.5
CHALLENGE, ACTIVATE = b"\x82\x18\x21", b"\x82\x02"  # docs/WIRE.md: an array of type and map

CONFIG = """
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[rsa]
basicConstraints = critical,CA:FALSE
keyUsage = critical,keyEncipherment
extendedKeyUsage = 2.23.133.8.1
subjectAltName = critical,dirName:tpm
[ecc]
basicConstraints = critical,CA:FALSE
keyUsage = critical,keyAgreement
extendedKeyUsage = 2.23.133.8.1
subjectAltName = critical,dirName:tpm
[tpm]
1.2.23.133.2.1 = id:494D4153
2.2.23.133.2.2 = Test
3.2.23.133.2.3 = id:00000001
[iak]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = 2.23.133.8.3
"""


def run(argv, cwd=None):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60 * SLOW, cwd=cwd, check=False)
    if r.returncode:
        raise Failure("%s: %s%s" % (" ".join(map(str, argv)), r.stdout, r.stderr))
    return r.stdout


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path


class Maker:
    """A maker of TPMs: a root, and what it signs."""

    def __init__(self, b, name="maker"):
        self.dir = os.path.join(b.dir, "ca-" + name)
        os.mkdir(self.dir)
        write(self.dir + "/cnf", CONFIG.encode())
        self.key("any")
        self.key(name)
        self.name = name
        self.openssl("req", "-x509", "-config", "cnf", "-extensions", "ca", "-new", "-key", name + ".key", "-subj",
                     "/CN=" + name, "-days", "3", "-out", name + ".pem")
        self.root = "%s/%s.pem" % (self.dir, name)

    def openssl(self, *words):
        run(["openssl"] + list(words), cwd=self.dir)

    def key(self, name):
        self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", name + ".key")

    def issue(self, name, public, kind, days=3, issuer=None):
        """A certificate of the public key in a PEM file: DER."""
        issuer = issuer or self.name
        self.openssl("req", "-new", "-config", "cnf", "-key", "any.key", "-subj", "/CN=" + name, "-out", "csr")
        self.openssl("x509", "-req", "-in", "csr", "-force_pubkey", public, "-CA", issuer + ".pem", "-CAkey",
                     issuer + ".key", "-CAcreateserial", "-extfile", "cnf", "-extensions", kind, "-days", str(days),
                     "-outform", "DER", "-out", name + ".der")
        return read("%s/%s.der" % (self.dir, name))

    def between(self):
        """A CA under the root: DER."""
        self.key("between")
        self.openssl("pkey", "-in", "between.key", "-pubout", "-out", "between.pub")
        cert = self.issue("between", self.dir + "/between.pub", "ca")
        self.openssl("x509", "-inform", "DER", "-in", "between.der", "-out", "between.pem")
        return cert


def ek(tpm, alg="rsa"):
    """The endorsement key: a PEM file, and the attester's id that follows from it. Nobody else may be connected."""
    base = "%s/ek-%s" % (tpm.dir, alg)
    run(["tpm2_createek", "-T", tpm.tcti, "-G", alg, "-c", base + ".ctx", "-u", base + ".pub"])
    run(["tpm2_readpublic", "-T", tpm.tcti, "-c", base + ".ctx", "-f", "pem", "-o", base + ".pem"])
    run(["tpm2_flushcontext", "-T", tpm.tcti, "-t"])
    public = read(base + ".pub")
    return base + ".pem", hashlib.sha256(public[2:2 + struct.unpack(">H", public[:2])[0]]).hexdigest()


def store(tpm, index, cert):
    """Into the TPM's memory."""
    path = write("%s/nv-%x" % (tpm.dir, index), cert)
    run(["tpm2_nvdefine", "-T", tpm.tcti, "-C", "o", "-s", len(cert), "-a", "ownerread|ownerwrite|authread|no_da",
         hex(index)])
    run(["tpm2_nvwrite", "-T", tpm.tcti, "-C", "o", "-i", path, hex(index)])


def ak_pem(tpm, path):
    """The P-256 attestation key as PEM; what ak_name() makes stays in the TPM's memory for no longer than here."""
    x, y = tpm.ak_point()
    head = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
    run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in", write(path + ".der", head + x + y), "-pubout", "-out", path])
    return path


def certified(b, maker, alg="rsa", days=3):
    """The bench's TPM gets a certificate: its attester's id."""
    public, identity = ek(b.tpm, alg)
    store(b.tpm, CERT_P256 if alg == "ecc" else CERT_RSA, maker.issue("ek", public, alg, days))
    return identity


def verifier(b, *options, **more):
    return Verifier(b, trust=False, options=["--allow-test-sources"] + list(options), **more)


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failure("%s: seen %s, expected %s" % (what, seen, wanted))


def enrolled(b, v, c, how, identity=None):
    """It gets in, and that is told, with why."""
    b.write(200)
    a = b.compare(v, c)
    event = [e for e in v.events() if e["event"] == "enrolled"]
    expect("enrolments told", len(event), 1)
    if not event[0]["text"].startswith(how):
        raise Failure("enrolled because of %r, expected %r" % (event[0]["text"], how))
    if identity:
        expect("identity", a["id"], identity)


def refused(v, c, reason, detail=""):
    """It does not get in, both sides say why, and nothing is kept of it."""
    wait_for("%s in the collector's log" % reason, lambda: "refused: %s: " % reason in c.process.said())
    wait_for("an event about %s" % reason, lambda: [e for e in v.events() if e["event"] == "rejected"])
    events = [e for e in v.events() if e["event"] == "rejected"]
    expect("reasons told", {e["reason"] for e in events}, {reason})
    if detail not in c.process.said():
        raise Failure("%r is not in what the collector was told" % detail)
    expect("attesters", v.attesters(), [])
    c.stop()


# --- certificates ---

def local_ca(b):
    """What swtpm_setup makes is what a maker makes: an RSA key, its certificate, an intermediate CA."""
    tpm = Tpm(b.dir, maker=b.dir + "/factory")
    v = verifier(b, "--ek-ca", tpm.ca[0], "--ek-ca", tpm.ca[1])
    b.tpm = tpm
    enrolled(b, v, Collector(b, v.url, b.source), "ek-ca: ")
    expect("proof asked for", "asks for proof that the attestation key is in this TPM" in "\n".join(b.logs(1000)), True)


def own_p256(b):
    maker = Maker(b)
    identity = certified(b, maker, "ecc")
    v = verifier(b, "--ek-ca", maker.root)
    enrolled(b, v, Collector(b, v.url, b.source), "ek-ca: ", identity)


def chain_in_the_tpm(b):
    maker = Maker(b)
    store(b.tpm, CHAIN, maker.between())
    public, identity = ek(b.tpm)
    store(b.tpm, CERT_RSA, maker.issue("ek", public, "rsa", issuer="between"))
    v = verifier(b, "--ek-ca", maker.root)
    enrolled(b, v, Collector(b, v.url, b.source), "ek-ca: ", identity)


def wrong_ca(b):
    certified(b, Maker(b))
    v = verifier(b, "--ek-ca", Maker(b, "stranger").root)
    refused(v, Collector(b, v.url, b.source), "ek-cert-untrusted", "--ek-ca")


def no_certificate(b):
    v = verifier(b, "--ek-ca", Maker(b).root)
    refused(v, Collector(b, v.url, b.source), "ek-cert-missing")


def expired(b):
    maker = Maker(b)
    certified(b, maker, days=0)
    time.sleep(1.1)
    v = verifier(b, "--ek-ca", maker.root)
    refused(v, Collector(b, v.url, b.source), "ek-cert-expired", "has expired")


def swapped(b):
    """A good certificate of the same maker, of another TPM."""
    maker = Maker(b)
    public, _ = ek(Tpm(b.dir))
    store(b.tpm, CERT_RSA, maker.issue("ek", public, "rsa"))
    v = verifier(b, "--ek-ca", maker.root)
    refused(v, Collector(b, v.url, b.source), "ek-cert-mismatch")


def garbage(b):
    """A DER sequence, and nothing of a certificate in it."""
    store(b.tpm, CERT_RSA, b"\x30\x82\x01\x00" + b.random.randbytes(256))
    v = verifier(b, "--ek-ca", Maker(b).root)
    refused(v, Collector(b, v.url, b.source), "ek-cert-invalid")


# --- lists, first use, another key's certificate ---

def listed_ek(b):
    _, identity = ek(b.tpm)
    v = verifier(b, "--enrol", "preauth", "--preauth", write(b.dir + "/list", b"%s web-1\n" % identity.encode()))
    c = Collector(b, v.url, b.source)
    b.write(100)
    expect("label", b.settled(v)["label"], "web-1")
    enrolled(b, v, c, "preauth", identity)


def listed_ak(b):
    v = verifier(b, "--enrol", "preauth", "--preauth", write(b.dir + "/list", b"%s\n" % b.tpm.ak_name().encode()))
    enrolled(b, v, Collector(b, v.url, b.source), "preauth")


def not_listed(b):
    v = verifier(b, "--enrol", "preauth", "--preauth", write(b.dir + "/list", b"%s\n" % Tpm(b.dir).ak_name().encode()))
    refused(v, Collector(b, v.url, b.source), "attester-unknown")


def first_use(b):
    """Nobody vouches for the key; that it is in that TPM is shown all the same."""
    _, identity = ek(b.tpm)
    v = verifier(b, "--enrol", "tofu")
    c = Collector(b, v.url, b.source)
    enrolled(b, v, c, "first-use", identity)
    expect("proof asked for", c.process.said().count("asks for proof that the attestation key is in this TPM"), 1)


def waits_for_people(b):
    v = verifier(b, "--enrol", "ek-ca,manual")
    c = Collector(b, v.url, b.source)
    wait_for("enrol-pending", lambda: "refused: enrol-pending: " in c.process.said())
    wait_for("an event", lambda: [e for e in v.events() if e["event"] == "pending"])
    expect("enrolled", [e for e in v.events() if e["event"] == "enrolled"], [])


def iak(b, ca):
    maker = Maker(b, "iak")
    cert = maker.issue("ak", ak_pem(b.tpm, b.dir + "/ak.pem"), "iak")
    v = verifier(b, "--iak-ca", (maker if ca else Maker(b, "stranger")).root)
    return v, Collector(b, v.url, b.source, options=["--iak-cert", write(b.dir + "/iak.der", cert)])


def iak_certificate(b):
    v, c = iak(b, True)
    enrolled(b, v, c, "iak-ca: ")


def iak_of_another_ca(b):
    v, c = iak(b, False)
    refused(v, c, "iak-cert-invalid", "--iak-ca")


# --- somebody between ---

class Meddler(Proxy):
    """Changes the last byte of an answer or a request of a type, or holds such a request back."""

    def __init__(self, v, down=None, up=None, hold=None):
        super().__init__(seed)
        self.spoil_down, self.spoil_up, self.hold = down, up, hold
        self.seen = 0
        self.partial = {}  # link -> the beginning of an answer whose end is still to come
        self.to(v.url)

    @staticmethod
    def spoil(message):
        return message[:-1] + bytes([message[-1] ^ 1])

    def requests(self, link, data):
        out, rest = b"", super().requests(link, data)
        if len(rest) == 8 and rest[:3] == b"\0SP":
            return rest
        while rest:
            size = 8 + struct.unpack(">Q", rest[:8])[0]
            message, rest = rest[:size], rest[size:]
            body = message[12:]
            if self.hold and body.startswith(self.hold):
                self.seen += 1
                link.held.append((time.monotonic() + 3600, message))
                continue
            if self.spoil_up and body.startswith(self.spoil_up):
                self.seen += 1
                message = self.spoil(message)
            out += message
        return out

    def answers(self, link, data):
        if not self.spoil_down:
            return data
        out, rest = b"", self.partial.pop(link, b"") + data
        while len(rest) >= 8:
            greeting = rest[:3] == b"\0SP"  # no message is so long
            size = 8 if greeting else 8 + struct.unpack(">Q", rest[:8])[0]
            if len(rest) < size:
                break
            message, rest = rest[:size], rest[size:]
            if message[12:].startswith(self.spoil_down):
                self.seen += 1
                message = self.spoil(message)
            out += message
        self.partial[link] = rest
        return out


def spoiled_secret(b):
    maker = Maker(b)
    certified(b, maker)
    v = verifier(b, "--ek-ca", maker.root)
    m = Meddler(v, up=ACTIVATE)
    b.proxies.append(m)
    refused(v, Collector(b, m.url(), b.source), "credential-wrong")


def spoiled_challenge(b):
    """The TPM does not open it, so nothing is answered; without the meddler all goes on."""
    maker = Maker(b)
    identity = certified(b, maker)
    v = verifier(b, "--ek-ca", maker.root)
    m = Meddler(v, down=CHALLENGE)
    b.proxies.append(m)
    c = Collector(b, m.url(), b.source)
    wait_for("the TPM's refusal", lambda: "the TPM refuses the verifier's credential" in c.process.said())
    expect("attesters", v.attesters(), [])
    expect("refusals", [e for e in v.events() if e["event"] == "rejected"], [])
    c.stop()
    enrolled(b, v, Collector(b, v.url, b.source), "ek-ca: ", identity)


def restart_between(b):
    """The verifier that made the challenge is gone when its answer comes: it is made again, nobody is accused."""
    maker = Maker(b)
    identity = certified(b, maker)
    v = verifier(b, "--ek-ca", maker.root)
    m = Meddler(v, hold=ACTIVATE)
    b.proxies.append(m)
    c = Collector(b, m.url(), b.source)
    wait_for("ACTIVATE", lambda: m.seen)
    v.kill()
    v.start()
    m.hold = None
    m.drop()  # the collector dials again, and sends what it had sent
    enrolled(b, v, c, "ek-ca: ", identity)
    expect("refusals", [e for e in v.events() if e["event"] == "rejected"], [])


# --- who is known ---

def other_key(b):
    """The same TPM with another attestation key: refused, and nothing is overwritten."""
    maker = Maker(b)
    identity = certified(b, maker)
    v = verifier(b, "--ek-ca", maker.root)
    c = Collector(b, v.url, b.source)
    b.write(100)
    before = b.settled(v)
    c.stop()
    c = Collector(b, v.url, b.source, name="other", options=["--ak-alg", "rsa2048"])
    wait_for("attester-key-changed", lambda: "refused: attester-key-changed: " in c.process.said())
    wait_for("an event", lambda: [e for e in v.events() if e["event"] == "rejected"])
    expect("reasons", {e["reason"] for e in v.events() if e["event"] == "rejected"}, {"attester-key-changed"})
    c.stop()
    after = v.attester()
    for key in ("id", "label", "entries", "proven", "state", "findings"):
        expect(key, after[key], before[key])
    enrolled(b, v, Collector(b, v.url, b.source), "ek-ca: ", identity)


def clone(b):
    """Two copies of one virtual TPM: the one that was here stays, and is told to have a double."""
    maker = Maker(b)
    certified(b, maker)
    b.tpm.process.kill()
    copy = Tpm(b.dir, copy=b.tpm.dir)
    b.tpm.start()
    v = verifier(b, "--ek-ca", maker.root)
    c = Collector(b, v.url, b.source, name="first")
    b.write(100)
    b.settled(v)
    entries = b.dir + "/copied.bin"
    shutil.copy(b.source, entries)
    second = Collector(b, v.url, entries, name="second", tpm=copy)
    wait_for("identity-duplicate", lambda: "refused: identity-duplicate: " in second.process.said())
    wait_for("an event", lambda: [e for e in v.events() if e["event"] == "rejected"])
    expect("reasons", {e["reason"] for e in v.events() if e["event"] == "rejected"}, {"identity-duplicate"})
    expect("label", v.attester()["label"], "first")
    b.write(100)
    a = b.settled(v)  # the first goes on in its session
    expect("state", (a["state"], a["reason"]), ("untrusted", "identity-duplicate"))
    expect("findings", a["findings"]["fail"], 1)
    expect("findings told", [e["reason"] for e in v.findings()], ["identity-duplicate"])
    if "refused" in c.process.said():
        raise Failure("the first was refused: " + c.process.said())
    second.stop()


def killed_collector(b):
    """Its old connection is closed with it, so nobody has to be asked first."""
    maker = Maker(b)
    certified(b, maker)
    v = verifier(b, "--ek-ca", maker.root)
    c = Collector(b, v.url, b.source)
    b.write(100)
    b.settled(v)
    slowest = 0
    for _ in range(3):
        c.kill()
        began = time.monotonic()
        b.write(20)
        c.start()
        b.settled(v)
        slowest = max(slowest, time.monotonic() - began)
    if "refused" in c.process.said():
        raise Failure("it was refused: " + c.process.said())
    expect("refusals", [e for e in v.events() if e["event"] == "rejected"], [])
    enrolled(b, v, c, "ek-ca: ")
    return "back and proven within %.2f s" % slowest


s = Scenarios()
with contextlib.suppress(BrokenPipeError):
    s.run("enrol: swtpm's own CA", local_ca)
    s.run("enrol: a P-256 endorsement key", own_p256)
    s.run("enrol: the intermediate certificate is in the TPM", chain_in_the_tpm)
    s.run("enrol: a CA that nobody trusts", wrong_ca)
    s.run("enrol: no certificate", no_certificate)
    s.run("enrol: an expired certificate", expired)
    s.run("enrol: the certificate of another TPM", swapped)
    s.run("enrol: a certificate that is none", garbage)
    s.run("enrol: listed by its endorsement key", listed_ek)
    s.run("enrol: listed by its attestation key", listed_ak)
    s.run("enrol: not on the list", not_listed)
    s.run("enrol: first use", first_use)
    s.run("enrol: waits for people", waits_for_people)
    s.run("enrol: a certificate of the attestation key", iak_certificate)
    s.run("enrol: a certificate of the attestation key by another CA", iak_of_another_ca)
    s.run("enrol: the secret is changed on its way", spoiled_secret)
    s.run("enrol: the challenge is changed on its way", spoiled_challenge)
    s.run("enrol: the verifier restarts between CHALLENGE and ACTIVATE", restart_between)
    s.run("enrol: known, and with another attestation key", other_key)
    s.run("enrol: two copies of one virtual TPM", clone, rare=1 << 30)
    s.run("enrol: the collector is killed and comes back", killed_collector)
s.done()
