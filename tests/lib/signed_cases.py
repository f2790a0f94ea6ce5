#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes signed policies, good and bad, to DIR, and DIR/cases.json that says what each must come to.

usage: signed_cases.py DIR
"""
import base64
import datetime
import json
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from signed_make import (IDENTITY, ISSUER, LOGGED, POLICY, T0, Authority, CertLog, Maker, TransparencyLog, b64, change, der,  # noqa: E402
                         envelope, envelope_bundle, flip, message_bundle, pem_cert, pem_public, record_body, sign)

CURVES = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}
OTHER = POLICY.replace(b"/bin/true", b"/bin/evil")


def self_signed(key):
    """A certificate as Keylime's x509 backend makes."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dsse_lib")])
    b = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    b = b.not_valid_before(datetime.datetime(2020, 1, 1)).not_valid_after(datetime.datetime(2020, 2, 1))
    return pem_cert(b.sign(key, hashes.SHA256()))


def dsse_cases(m):
    keys = {n: ec.generate_private_key(c()) for n, c in CURVES.items()}
    a, b = keys["p256"], ec.generate_private_key(ec.SECP256R1())
    pa, pb = [pem_public(a)], [pem_public(b)]
    good = envelope([a])

    m.case("nothing configured, nothing signed", "ok", form="none")
    m.case("nothing configured, an envelope", "no-trust", good)
    m.case("a key is required, a plain policy", "unsigned", keys=pa)
    m.case("a key is required, no JSON at all", "unsigned", b"hello", keys=pa)
    m.case("a key is required, an empty file", "unsigned", b"", keys=pa)
    for n, key in keys.items():
        m.case("envelope by " + n, "ok", envelope([key]), keys=[pem_public(key)], form="dsse", signatures=1)
        m.case("envelope by %s with SHA-256, as Keylime signs" % n, "ok",
               envelope([key], bits=256, keyid="0" * 64), keys=[pem_public(key)], form="dsse")
        m.case("envelope by a stranger's " + n, "key-unknown", envelope([key]), keys=pb)
    m.case("hash of another size than the curve's, not SHA-256", "key-unknown", envelope([a], bits=512), keys=pa)
    cert = self_signed(a)
    m.case("Keylime's x509 backend: the certificate as key and as key id", "ok", envelope([a], bits=256, keyid=b64(cert)), keys=[cert])
    m.case("our own payload type", "ok", envelope([a], kind="application/vnd.imastream.policy+json"), keys=pa)
    m.case("another payload type", "payload-type", envelope([a], kind="application/vnd.in-toto+json"), keys=pa)
    m.case("payload type of 128 bytes", "payload-type", envelope([a], kind="t" * 128), keys=pa)
    m.case("payload type of 129 bytes", "too-large", envelope([a], kind="t" * 129), keys=pa)
    url = dict(good, payload=base64.urlsafe_b64encode(POLICY).decode())
    url["signatures"] = [{"sig": base64.urlsafe_b64encode(base64.b64decode(good["signatures"][0]["sig"])).decode()}]
    m.case("URL-safe base64", "ok", url, keys=pa)
    m.case("payload changed", "key-unknown", dict(good, payload=b64(OTHER)), keys=pa)
    m.case("payload type changed to another of ours", "key-unknown", dict(good, payloadType="application/vnd.imastream.policy+json"), keys=pa)
    m.case("signature over the bare payload", "key-unknown", change(good, ["signatures", 0, "sig"], b64(sign(a, POLICY))), keys=pa)
    m.case("signature flipped", "key-unknown", change(good, ["signatures", 0, "sig"], flip(good["signatures"][0]["sig"], 20)), keys=pa)
    r, s = decode_dss_signature(base64.b64decode(good["signatures"][0]["sig"]))
    m.case("signature as two numbers, not DER", "key-unknown",
           change(good, ["signatures", 0, "sig"], b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))), keys=pa)
    m.case("signature with a byte behind it", "key-unknown",
           change(good, ["signatures", 0, "sig"], b64(base64.b64decode(good["signatures"][0]["sig"]) + b"\0")), keys=pa)
    m.case("empty signature", "key-unknown", change(good, ["signatures", 0, "sig"], ""), keys=pa)
    m.case("signature not base64", "malformed", change(good, ["signatures", 0, "sig"], "a*b="), keys=pa)
    m.case("signature without padding", "malformed", change(good, ["signatures", 0, "sig"], "YQ"), keys=pa)
    m.case("signature is a number", "malformed", change(good, ["signatures", 0, "sig"], 1), keys=pa)
    m.case("key id is a number", "malformed", change(good, ["signatures", 0, "keyid"], 1), keys=pa)
    m.case("payload not base64", "malformed", dict(good, payload="!"), keys=pa)
    m.case("payload is a number", "malformed", dict(good, payload=1), keys=pa)
    m.case("no signatures", "malformed", dict(good, signatures=[]), keys=pa)
    m.case("signatures not a list", "malformed", dict(good, signatures={"sig": ""}), keys=pa)
    m.case("32 signatures, the last one good", "ok", dict(good, signatures=[{"sig": b64(b"x")}] * 31 + good["signatures"]), keys=pa)
    m.case("33 signatures", "too-large", dict(good, signatures=[{"sig": b64(b"x")}] * 32 + good["signatures"]), keys=pa)
    m.case("signature text of 1024 bytes", "key-unknown", change(good, ["signatures", 0, "sig"], b64(bytes(768))), keys=pa)
    m.case("signature text of 1028 bytes", "too-large", change(good, ["signatures", 0, "sig"], b64(bytes(771))), keys=pa)
    text = json.dumps(good).encode()
    m.case("a member twice", "malformed", text[:-1] + b', "payload": "' + b64(OTHER).encode() + b'"}', keys=pa)
    m.case("bytes behind the envelope", "malformed", text + b" x", keys=pa)
    m.case("envelope cut off", "malformed", text[:-1], keys=pa)
    m.case("an envelope and a signature beside it", "malformed", good, b64(sign(a, text)).encode(), keys=pa)
    both = envelope([a, b])
    m.case("two of two", "ok", both, keys=pa + pb, threshold=2, signatures=2)
    m.case("two of two by one key twice", "threshold", envelope([a, a]), keys=pa + pb, threshold=2)
    m.case("one key given twice is one", "threshold", envelope([a]), keys=pa + pa, threshold=2)
    point = a.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    short = der(0x30, der(0x30, bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107")) + der(0x03, b"\0" + point))
    short = b"-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n" % base64.b64encode(short)
    m.case("a key with a compressed point", "ok", envelope([a]), keys=[short])
    m.case("one key written in two ways is one", "threshold", envelope([a]), keys=pa + [short], threshold=2)
    m.case("two of three", "ok", both, keys=pa + pb + [pem_public(keys["p384"])], threshold=2)
    m.case("one known, one stranger", "ok", both, keys=pb, signatures=1)
    m.case("one known of two required", "threshold", both, keys=pb + [pem_public(keys["p384"])], threshold=2)
    m.case("keys in one file", "ok", both, keys=[pa[0] + pb[0]], threshold=2)
    m.case("an identity is required, not a key", "key-unknown", good, identities=[(IDENTITY, ISSUER)])


def cosign_cases(m):
    for n, curve in CURVES.items():
        key = ec.generate_private_key(curve())
        for bits in {256, {"p256": 256, "p384": 384, "p521": 512}[n]}:
            m.case("blob signature by %s with SHA-%d" % (n, bits), "ok", POLICY, b64(sign(key, POLICY, bits)).encode(),
                   keys=[pem_public(key)], form="cosign", signatures=1)
    key = ec.generate_private_key(ec.SECP256R1())
    k = [pem_public(key)]
    raw = sign(key, POLICY)
    sig = b64(raw).encode()
    m.case("blob signature with a line feed", "ok", POLICY, sig + b"\n", keys=k)
    m.case("blob signature with two line feeds", "malformed", POLICY, sig + b"\n\n", keys=k)
    m.case("blob signature, nothing configured", "no-trust", POLICY, sig)
    m.case("blob signature over another file", "key-unknown", OTHER, sig, keys=k)
    m.case("blob signature over a byte more", "key-unknown", POLICY + b"\n", sig, keys=k)
    m.case("blob signature by a stranger", "key-unknown", POLICY, b64(sign(ec.generate_private_key(ec.SECP256R1()), POLICY)).encode(), keys=k)
    m.case("blob signature in DER", "malformed", POLICY, raw, keys=k)
    m.case("blob signature of spaces", "malformed", POLICY, b" ", keys=k)
    m.case("blob signature with a byte behind it", "key-unknown", POLICY, b64(raw + b"\0").encode(), keys=k)
    m.case("blob signature of 1024 bytes", "key-unknown", POLICY, b64(bytes(768)).encode(), keys=k)
    m.case("blob signature of 1025 bytes", "too-large", POLICY, b64(bytes(768)).encode() + b"=", keys=k)
    m.case("blob signature, two are required", "threshold", POLICY, sig, keys=k + [pem_public(ec.generate_private_key(ec.SECP256R1()))], threshold=2)
    m.case("Cosign's own bundle form", "unsupported", POLICY, {"base64Signature": sig.decode(), "cert": "", "rekorBundle": {}}, keys=k)
    m.case("other JSON beside it", "malformed", POLICY, {"a": 1}, keys=k)


class World:
    """Authority, logs, key, leaf, and what a verifier trusts of them."""

    def __init__(self, **issue):
        self.ca, self.ct, self.log = Authority(), CertLog(), TransparencyLog()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.leaf = self.ca.issue(self.key, [self.ct], **issue)

    def root(self, cas=None, tlogs=None, ctlogs=None):
        return {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [self.log.as_root()] if tlogs is None else tlogs,
                "certificateAuthorities": [self.ca.as_root()] if cas is None else cas,
                "ctlogs": [self.ct.as_root()] if ctlogs is None else ctlogs, "timestampAuthorities": []}

    def bundle(self, leaf=None, key=None, **more):
        return message_bundle(leaf or self.leaf, key or self.key, self.log, **more)


WHO = [(IDENTITY, ISSUER)]
ENTRY = ["verificationMaterial", "tlogEntries", 0]
PROOF = ENTRY + ["inclusionProof"]


def form_cases(m, w):
    good, root = w.bundle(), [w.root()]

    def case(name, expect, bundle, file=POLICY, **more):
        m.case("bundle: " + name, expect, file, bundle, **dict({"identities": WHO, "roots": root}, **more))

    case("good", "ok", good, form="sigstore-bundle", identity=IDENTITY, issuer=ISSUER, signed_at=LOGGED, log_index=4711)
    for media in ("application/vnd.dev.sigstore.bundle+json;version=0.3", "application/vnd.dev.sigstore.bundle+json;version=0.2",
                  "application/vnd.dev.sigstore.bundle+json;version=0.1"):
        case(media[-3:] + " in the old spelling", "ok", w.bundle(media=media))
    case("version 0.4", "unsupported", dict(good, mediaType="application/vnd.dev.sigstore.bundle.v0.4+json"))
    case("no media type", "unsupported", change(good, ["mediaType"], None))
    chain = w.bundle(media="application/vnd.dev.sigstore.bundle+json;version=0.2")
    case("0.3 with a chain", "malformed", dict(chain, mediaType=good["mediaType"]))
    case("empty chain", "malformed", change(chain, ["verificationMaterial", "x509CertificateChain", "certificates"], []))
    case("certificate and key", "malformed", change(good, ["verificationMaterial", "publicKey"], {"hint": ""}))
    case("neither certificate nor key", "malformed", change(good, ["verificationMaterial", "certificate"], None))
    chain_of = ["verificationMaterial", "x509CertificateChain", "certificates"]
    one = chain["verificationMaterial"]["x509CertificateChain"]["certificates"]
    case("chain of 8", "ok", change(chain, chain_of, one * 8))
    case("chain of 9", "malformed", change(chain, chain_of, one * 9))
    case("certificate broken", "malformed", change(good, ["verificationMaterial", "certificate", "rawBytes"], b64(b"\x30\x03abc")))
    raw = base64.b64decode(good["verificationMaterial"]["certificate"]["rawBytes"])
    case("a byte behind the certificate", "malformed", change(good, ["verificationMaterial", "certificate", "rawBytes"], b64(raw + b"\0")))
    case("certificate of 8193 bytes", "too-large", change(good, ["verificationMaterial", "certificate", "rawBytes"], b64(bytes(8193))))
    case("no content", "malformed", change(good, ["messageSignature"], None))
    case("two contents", "malformed", dict(good, dsseEnvelope=envelope([w.key])))
    case("given as the policy itself", "malformed", None, file=good)
    case("another file", "signature-wrong", good, file=OTHER)
    case("digest of another file", "signature-wrong", change(good, ["messageSignature", "messageDigest", "digest"], b64(bytes(32))))
    case("digest missing", "ok", change(good, ["messageSignature", "messageDigest"], None))
    case("digest of an unknown kind", "unsupported", change(good, ["messageSignature", "messageDigest", "algorithm"], "MD5"))
    case("another file without a digest", "signature-wrong", change(good, ["messageSignature", "messageDigest"], None), file=OTHER)
    case("signature flipped", "signature-wrong", change(good, ["messageSignature", "signature"], flip(good["messageSignature"]["signature"], 20)))
    case("signature not base64", "malformed", change(good, ["messageSignature", "signature"], "-"))
    text = json.dumps(good).encode()
    case("cut off", "malformed", text[:-1])
    case("bytes behind it", "malformed", text + b"x")
    case("4 MiB", "ok", text + b" " * ((4 << 20) - len(text)))
    case("a byte more than 4 MiB", "too-large", text + b" " * ((4 << 20) + 1 - len(text)))
    case("two signatures required", "threshold", good, threshold=2)
    case("nothing configured", "no-trust", good, identities=[], roots=[])
    case("no root configured", "no-trust", good, roots=[])
    case("only keys configured", "no-trust", good, identities=[], keys=[pem_public(w.key)])
    case("a second root that knows nothing of it", "ok", good, roots=[World().root(), root[0]])
    case("the root of others", "log-unknown", good, roots=[World().root()])


def envelope_cases(m, w):
    root, good = [w.root()], envelope_bundle(w.leaf, w.key, w.log)

    def case(name, expect, file, detached=None, **more):
        m.case("bundle with envelope: " + name, expect, file, detached, **dict({"identities": WHO, "roots": root}, **more))

    case("as the policy", "ok", good, form="sigstore-bundle", identity=IDENTITY)
    case("beside the policy", "ok", POLICY, good)
    case("beside another policy", "signature-wrong", OTHER, good)
    case("as the policy, nothing configured", "no-trust", good, identities=[], roots=[])
    case("of another type", "payload-type", envelope_bundle(w.leaf, w.key, w.log, kind="application/vnd.in-toto+json"))
    case("payload changed", "signature-wrong", change(good, ["dsseEnvelope", "payload"], b64(OTHER)))
    case("two signatures", "malformed", change(good, ["dsseEnvelope", "signatures"], good["dsseEnvelope"]["signatures"] * 2))
    other = envelope_bundle(w.leaf, w.key, w.log, payload=OTHER)
    case("the log's entry of another policy", "log-body", change(good, ENTRY, other["verificationMaterial"]["tlogEntries"][0]))
    again = envelope_bundle(w.leaf, w.key, w.log)
    case("the log's entry of another signature", "log-body", change(good, ENTRY, again["verificationMaterial"]["tlogEntries"][0]))
    entry = good["verificationMaterial"]["tlogEntries"][0]
    body = json.loads(base64.b64decode(entry["canonicalizedBody"]))
    body["spec"]["signatures"] *= 2
    case("logged with two signatures", "log-body", change(good, ENTRY, w.log.entry(json.dumps(body).encode(), kind="dsse")))
    case("logged as a file's signature", "unsupported", change(good, ENTRY + ["kindVersion", "kind"], "hashedrekord"))


def log_cases(m, w):
    good, root = w.bundle(), [w.root()]
    entry = good["verificationMaterial"]["tlogEntries"][0]
    body = base64.b64decode(entry["canonicalizedBody"])
    v1, v2 = (w.bundle(media="application/vnd.dev.sigstore.bundle+json;version=0." + n) for n in "12")

    def case(name, expect, bundle, **more):
        m.case("log: " + name, expect, POLICY, bundle, **dict({"identities": WHO, "roots": root}, **more))

    def with_entry(new):
        return change(good, ENTRY, new)

    case("no entry", "not-logged", change(good, ["verificationMaterial", "tlogEntries"], []))
    case("no list of entries", "not-logged", change(good, ["verificationMaterial", "tlogEntries"], None))
    stamps = {"rfc3161Timestamps": [{"signedTimestamp": b64(b"x")}]}
    case("no entry, but an RFC 3161 time stamp", "unsupported",
         change(change(good, ["verificationMaterial", "tlogEntries"], []), ["verificationMaterial", "timestampVerificationData"], stamps))
    case("Rekor version 2: no integrated time", "unsupported",
         change(change(good, ENTRY + ["integratedTime"], None), ["verificationMaterial", "timestampVerificationData"], stamps))
    case("an RFC 3161 time stamp beside a good entry", "ok", change(good, ["verificationMaterial", "timestampVerificationData"], stamps))
    case("no integrated time", "not-logged", change(good, ENTRY + ["integratedTime"], None))
    case("no promise", "not-logged", change(good, ENTRY + ["inclusionPromise"], None))
    case("no proof", "not-logged", change(good, ENTRY + ["inclusionProof"], None))
    case("no checkpoint", "not-logged", change(good, PROOF + ["checkpoint"], None))
    case("0.2 without a checkpoint", "not-logged", change(v2, PROOF + ["checkpoint"], None))
    case("0.1 without a checkpoint", "ok", change(v1, PROOF + ["checkpoint"], None))
    case("0.1 without a proof", "ok", change(v1, ENTRY + ["inclusionProof"], None))
    case("0.1 without a promise", "not-logged", change(v1, ENTRY + ["inclusionPromise"], None))
    lone = change(change(v1, ENTRY, w.log.entry(base64.b64decode(v1["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"]), before=0, after=0)), PROOF + ["checkpoint"], None)
    case("0.1, entry of a tree of one", "ok", lone)
    case("0.1, path too short for its tree", "log-proof", change(lone, PROOF + ["treeSize"], "5"))
    case("0.1 with a wrong proof", "log-proof", change(change(v1, PROOF + ["checkpoint"], None), PROOF + ["rootHash"], b64(bytes(32))))
    case("promise flipped", "log-proof", change(good, ENTRY + ["inclusionPromise", "signedEntryTimestamp"], flip(entry["inclusionPromise"]["signedEntryTimestamp"], 20)))
    case("another time", "log-proof", change(good, ENTRY + ["integratedTime"], str(LOGGED + 1)))
    case("another index", "log-proof", change(good, ENTRY + ["logIndex"], "4712"))
    case("numbers instead of texts", "ok", change(change(good, ENTRY + ["logIndex"], 4711), ENTRY + ["integratedTime"], LOGGED))
    case("negative time", "malformed", change(good, ENTRY + ["integratedTime"], "-1"))
    case("time is no number", "malformed", change(good, ENTRY + ["integratedTime"], "1e9"))
    case("tree of one", "ok", with_entry(w.log.entry(body, before=0, after=0)))
    for before, after in ((0, 1), (1, 0), (0, 6), (6, 0), (3, 4), (7, 9), (16, 0)):
        case("entry %d of a tree of %d" % (before, before + after + 1), "ok", with_entry(w.log.entry(body, before=before, after=after)))
    case("proof: a hash flipped", "log-proof", change(good, PROOF + ["hashes", 1], flip(entry["inclusionProof"]["hashes"][1])))
    case("proof: a hash less", "log-proof", change(good, PROOF + ["hashes", 0], None))
    case("proof: a hash more", "log-proof", change(good, PROOF + ["hashes"], entry["inclusionProof"]["hashes"] + [b64(bytes(32))]))
    case("proof: a short hash", "malformed", change(good, PROOF + ["hashes", 0], b64(bytes(31))))
    case("proof: another index", "log-proof", change(good, PROOF + ["logIndex"], "4"))
    case("proof: index as large as the tree", "log-proof", change(good, PROOF + ["logIndex"], "9"))
    case("proof: another size", "log-proof", change(good, PROOF + ["treeSize"], "10"))
    case("proof: size 0", "log-proof", change(good, PROOF + ["treeSize"], "0"))
    case("proof: no size", "malformed", change(good, PROOF + ["treeSize"], None))
    case("proof: another root", "log-proof", change(good, PROOF + ["rootHash"], b64(bytes(32))))
    case("proof: 64 hashes", "log-proof", change(good, PROOF + ["hashes"], [b64(bytes(32))] * 64))
    case("proof: 65 hashes", "too-large", change(good, PROOF + ["hashes"], [b64(bytes(32))] * 65))
    proof = entry["inclusionProof"]
    size, rh = int(proof["treeSize"]), base64.b64decode(proof["rootHash"])

    def checkpoint(name, expect, text):
        case("checkpoint: " + name, expect, change(good, PROOF + ["checkpoint", "envelope"], text))

    note = proof["checkpoint"]["envelope"]
    checkpoint("with more lines", "ok", w.log.checkpoint(size, rh, extra="Timestamp: 1\n"))
    witness = "\u2014 witness " + b64(b"abcd" + bytes(64)) + "\n"
    checkpoint("with a witness' signature", "ok", note + witness)
    checkpoint("only a witness' signature", "log-proof", note[:note.index("\u2014")] + witness)
    checkpoint("of another tree size", "log-proof", w.log.checkpoint(size + 1, rh))
    checkpoint("of another root", "log-proof", w.log.checkpoint(size, bytes(32)))
    checkpoint("by another key", "log-proof", w.log.checkpoint(size, rh, key=ec.generate_private_key(ec.SECP256R1())))
    checkpoint("with another key's hint", "log-proof", w.log.checkpoint(size, rh, hint=b"abcd"))
    checkpoint("text changed", "log-proof", note.replace("4711", "4712", 1))
    checkpoint("no signature", "log-proof", note[:note.index("\u2014")])
    checkpoint("no empty line", "log-proof", note.replace("\n\n", "\n"))
    checkpoint("last line feed missing", "log-proof", note[:-1])
    checkpoint("signature not base64", "log-proof", note[:-3] + "*\n")
    checkpoint("empty", "log-proof", "")
    checkpoint("of 8193 bytes", "too-large", "x" * 8193)
    checkpoint("not a text", "malformed", 7)

    case("of a log that the root does not know", "log-unknown", with_entry(TransparencyLog().entry(body)))
    case("log key not valid yet", "log-unknown", good, roots=[w.root(tlogs=[w.log.as_root(LOGGED + 1)])])
    case("log key valid from that second", "ok", good, roots=[w.root(tlogs=[w.log.as_root(LOGGED)])])
    case("log key not valid any more", "log-unknown", good, roots=[w.root(tlogs=[w.log.as_root(end=LOGGED - 1)])])
    case("log key valid until that second", "ok", good, roots=[w.root(tlogs=[w.log.as_root(end=LOGGED)])])
    case("id of the log is short", "malformed", change(good, ENTRY + ["logId", "keyId"], b64(bytes(31))))
    ed = TransparencyLog(ed25519.Ed25519PrivateKey.generate())
    case("an Ed25519 log", "ok", with_entry(ed.entry(body)), roots=[w.root(tlogs=[ed.as_root()])])
    wrong = ed.entry(body)
    wrong["inclusionPromise"]["signedEntryTimestamp"] = flip(wrong["inclusionPromise"]["signedEntryTimestamp"])
    case("an Ed25519 log, promise flipped", "log-proof", with_entry(wrong), roots=[w.root(tlogs=[ed.as_root()])])
    case("signed in the future", "signed-in-future", good, now=LOGGED - 301)
    case("signed a little in the future", "ok", good, now=LOGGED - 300)

    sig = base64.b64decode(good["messageSignature"]["signature"])
    pem = pem_cert(w.leaf)

    def with_body(name, expect, new, **more):
        case("entry: " + name, expect, with_entry(w.log.entry(new, **more)))

    with_body("of another file", "log-body", record_body(OTHER, sig, pem))
    with_body("of another signature", "log-body", record_body(POLICY, sign(w.key, POLICY), pem))
    with_body("of another certificate (CVE-2022-36056)", "log-body", record_body(POLICY, sig, pem_cert(World().leaf)))
    with_body("of the bare key", "log-body", record_body(POLICY, sig, pem_public(w.key)))
    with_body("with two certificates", "log-body", record_body(POLICY, sig, pem + pem))
    with_body("with SHA-512", "ok", record_body(POLICY, sig, pem, "sha512"))
    with_body("with SHA-1", "malformed", record_body(POLICY, sig, pem, "sha1"))
    with_body("not JSON", "malformed", b"{")
    with_body("of another version", "log-body", body.replace(b"0.0.1", b"0.0.2"))
    with_body("of another kind", "log-body", body.replace(b"hashedrekord", b"rekord"))
    with_body("of 65537 bytes", "too-large", body + b" " * (65537 - len(body)))
    with_body("of 65536 bytes", "ok", body + b" " * (65536 - len(body)))
    case("entry changed", "log-proof", change(good, ENTRY + ["canonicalizedBody"], b64(body + b" ")))
    case("kind that is not checked", "unsupported", change(good, ENTRY + ["kindVersion", "kind"], "intoto"))
    case("version that is not checked", "unsupported", change(good, ENTRY + ["kindVersion", "version"], "0.0.2"))
    two = [w.log.entry(body), w.log.entry(body, t=LOGGED + 9, before=2)]
    case("two entries", "ok", change(good, ["verificationMaterial", "tlogEntries"], two), signed_at=LOGGED)
    late = [w.log.entry(body), w.log.entry(body, t=T0 + 601)]
    case("two entries, one too late for the certificate", "certificate-time", change(good, ["verificationMaterial", "tlogEntries"], late))
    two[1]["inclusionPromise"]["signedEntryTimestamp"] = two[0]["inclusionPromise"]["signedEntryTimestamp"]
    case("two entries, one wrong", "log-proof", change(good, ["verificationMaterial", "tlogEntries"], two))
    case("8 entries", "ok", change(good, ["verificationMaterial", "tlogEntries"], [entry] * 8))
    case("9 entries", "too-large", change(good, ["verificationMaterial", "tlogEntries"], [entry] * 9))


def certificate_cases(m, w):
    root = [w.root()]

    def case(name, expect, bundle=None, **more):
        m.case("certificate: " + name, expect, POLICY, bundle or w.bundle(), **dict({"identities": WHO, "roots": root}, **more))

    def issued(name, expect, logs=None, **issue):
        who = issue.pop("who", WHO)
        leaf = w.ca.issue(w.key, [w.ct] if logs is None else logs, **issue)
        case(name, expect, w.bundle(leaf), identities=who)

    def logged_at(t):
        return w.bundle(entries=lambda body: [w.log.entry(body, t=t)])

    for n, curve in CURVES.items():
        key = ec.generate_private_key(curve())
        case("of " + n, "ok", w.bundle(w.ca.issue(key, [w.ct]), key))
        case("of %s, signed with SHA-256" % n, "ok", w.bundle(w.ca.issue(key, [w.ct]), key, bits=256))
    case("by another key", "signature-wrong", w.bundle(key=ec.generate_private_key(ec.SECP256R1())))
    case("in its first second", "ok", logged_at(T0))
    case("a second before", "certificate-time", logged_at(T0 - 1))
    case("a second before its end", "ok", logged_at(T0 + 599))
    case("a second after its end", "certificate-time", logged_at(T0 + 601))
    case("authority not valid yet", "certificate-time", roots=[w.root([w.ca.as_root(LOGGED + 1)])])
    case("authority not valid any more", "certificate-time", roots=[w.root([w.ca.as_root(end=LOGGED - 1)])])
    case("authority valid until that second", "ok", roots=[w.root([w.ca.as_root(end=LOGGED)])])
    case("of another authority", "certificate-chain", roots=[w.root([Authority().as_root()])])
    case("of the second authority", "ok", roots=[w.root([Authority().as_root(), w.ca.as_root()])])
    case("no authority", "certificate-chain", roots=[w.root([])])
    case("the issuer alone as anchor", "ok", roots=[w.root([w.ca.as_root(chain=[w.ca.issuer])])])
    case("8 certificates of an authority", "ok", roots=[w.root([w.ca.as_root(chain=[w.ca.issuer] + [w.ca.root] * 7)])])
    case("the root without the issuer", "certificate-chain", roots=[w.root([w.ca.as_root(chain=[w.ca.root])])])
    for name, ca in (("issuer is not an authority", Authority(ca=False)), ("issuer for other purposes", Authority(eku="other")),
                     ("issuer expired", Authority(end=T0 - 1))):
        case(name, "certificate-time" if "expired" in name else "certificate-chain", w.bundle(ca.issue(w.key, [w.ct])), roots=[w.root([ca.as_root()])])
    free = Authority(eku=False)
    case("issuer without limits", "ok", w.bundle(free.issue(w.key, [w.ct])), roots=[w.root([free.as_root()])])
    issued("not for code signing", "certificate-chain", eku=ExtendedKeyUsageOID.SERVER_AUTH)
    issued("for nothing in particular", "certificate-chain", eku=None)
    issued("of an authority", "certificate-chain", ca=True)
    issued("not for signatures", "certificate-chain", usage="other")
    raw = bytearray(w.leaf.public_bytes(serialization.Encoding.DER))
    raw[-1] ^= 1
    case("its signature flipped", "certificate-chain", w.bundle(x509.load_der_x509_certificate(bytes(raw))))
    big = rsa.generate_private_key(65537, 2048)
    leaf = w.ca.issue(big, [w.ct])
    case("of an RSA key", "unsupported", change(w.bundle(), ["verificationMaterial", "certificate", "rawBytes"],
                                                b64(leaf.public_bytes(serialization.Encoding.DER))))

    issued("stamp in front of the other extensions", "ok", sct_first=True)
    issued("two stamps, one of an unknown log", "ok", logs=[CertLog(), w.ct])
    issued("30 stamps", "ok", logs=[w.ct] * 30)
    issued("stamps of more than 4096 bytes", "certificate-not-logged", logs=[w.ct] * 36)
    issued("no stamp", "certificate-not-logged", logs=[])
    issued("stamp of an unknown log", "certificate-not-logged", logs=[CertLog()])
    for spoil in ("issuer", "time-signed", "version", "algorithm", "length", "trailing"):
        issued("stamp: wrong " + spoil, "certificate-not-logged", spoil=spoil)
    issued("a good stamp and a wrong one by a known log", "certificate-not-logged", logs=[w.ct, Forger(w.ct)])
    case("certificate log not valid any more", "certificate-not-logged", roots=[w.root(ctlogs=[w.ct.as_root(end=T0)])])
    none = w.bundle(w.ca.issue(w.key))
    case("no stamp, and no certificate logs in the root", "ok", none, roots=[w.root(ctlogs=[])])
    unknown = dict(w.ct.as_root(), publicKey=dict(w.ct.as_root()["publicKey"], keyDetails="PKCS1_RSA_PKCS1V5", rawBytes=b64(b"\x30\0")))
    case("no stamp, and a certificate log of an unknown kind", "certificate-not-logged", none, roots=[w.root(ctlogs=[unknown])])

    issued("URI as name", "ok", names=[x509.UniformResourceIdentifier("https://ci.example.org/x@refs/heads/main")],
           who=[("https://ci.example.org/x@refs/heads/main", ISSUER)])
    issued("user name", "ok", names=[x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), b"\x0c\x03abc")], who=[("abc", ISSUER)])
    issued("other name of an unknown kind", "identity", names=[x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x03abc")], who=[("abc", ISSUER)])
    issued("host name", "identity", names=[x509.DNSName("example.org")], who=[("example.org", ISSUER)])
    issued("two names", "identity", names=[x509.RFC822Name(IDENTITY), x509.RFC822Name("b@example.org")])
    issued("no name", "identity", names=[])
    issued("name with a NUL", "identity", names=[x509.UniformResourceIdentifier("https://a\0.example.org")], who=[("https://a", ISSUER)])
    issued("issuer in the old form only", "ok", v2=None)
    issued("issuer in the new form only", "ok", v1=None)
    oid = bytes.fromhex("060a2b0601040183bf3001")
    twice = w.ca.forge(w.ca.issue(w.key, v1="\x0c" + chr(len(ISSUER)) + ISSUER, v2="https://evil.example.org"), oid + b"\x01", oid + b"\x08")
    case("issuer twice", "identity", w.bundle(twice), roots=[w.root(ctlogs=[])])
    issued("no issuer", "identity", v1=None, v2=None)
    issued("issuers that differ", "identity", v1="https://evil.example.org")
    longest = "https://" + "a" * 504
    issued("name of 512 bytes", "ok", names=[x509.UniformResourceIdentifier(longest)], who=[(longest, ISSUER)])
    issued("name of 513 bytes", "identity", names=[x509.UniformResourceIdentifier(longest + "a")], who=[(longest, ISSUER)])
    for name, who in (("another name", (IDENTITY + "x", ISSUER)), ("another issuer", (IDENTITY, ISSUER + "/")),
                      ("name in capitals", (IDENTITY.upper(), ISSUER)), ("name and issuer swapped", (ISSUER, IDENTITY)),
                      ("only part of the name", (IDENTITY[:-1], ISSUER))):
        case("required: " + name, "identity", identities=[who])
    case("name of one, issuer of the other required", "identity", identities=[(IDENTITY, "https://b"), ("b@b", ISSUER)])
    case("second of two required", "ok", identities=[("b@b", "https://b"), (IDENTITY, ISSUER)])


class Forger(CertLog):
    """Names another log's id."""

    def __init__(self, log):
        super().__init__()
        self.id = log.id


def key_cases(m, w):
    key = ec.generate_private_key(ec.SECP384R1())
    k = [pem_public(key)]
    sig = sign(key, POLICY)
    bare = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": "x"}, "tlogEntries": []},
            "messageSignature": {"signature": b64(sig)}}
    logged = change(bare, ["verificationMaterial", "tlogEntries"], [w.log.entry(record_body(POLICY, sig, pem_public(key)))])

    def case(name, expect, bundle, **more):
        m.case("bundle by key: " + name, expect, POLICY, bundle, **dict({"keys": k}, **more))

    case("not logged", "ok", bare, form="sigstore-bundle", signed_at=0)
    case("logged, no root", "ok", logged, signed_at=0)
    case("logged", "ok", logged, roots=[w.root()], signed_at=LOGGED)
    case("logged by a stranger", "log-unknown", logged, roots=[World().root()])
    case("logged, another key in the entry", "log-body", roots=[w.root()], bundle=change(
        bare, ["verificationMaterial", "tlogEntries"], [w.log.entry(record_body(POLICY, sig, pem_public(w.key)))]))
    case("of a stranger", "key-unknown", bare, keys=[pem_public(w.key)])
    case("an identity is required", "key-unknown", bare, keys=[], identities=WHO, roots=[w.root()])
    env = {"mediaType": bare["mediaType"], "verificationMaterial": bare["verificationMaterial"],
           "dsseEnvelope": envelope([key])}
    m.case("bundle by key: envelope as the policy", "ok", env, keys=k)


def main():
    m = Maker(sys.argv[1])
    dsse_cases(m)
    cosign_cases(m)
    w = World()
    for make in (form_cases, envelope_cases, log_cases, certificate_cases, key_cases):
        make(m, w)
    with open(os.path.join(m.folder, "cases.json"), "w", encoding="utf-8") as f:
        json.dump(m.cases, f, indent=1)


main()
