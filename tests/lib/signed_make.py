# SPDX-License-Identifier: Apache-2.0
"""Signed policies, good and bad, for tests.

A Sigstore in miniature (authority, certificate log, transparency log) written from the specifications and independent of
the C code. signed_cases.py has the cases.
"""
import base64
import copy
import datetime
import hashlib
import json
import os
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

T0 = 1700000000
LOGGED = T0 + 30
NOW = T0 + 86400
IDENTITY = "release@example.org"
ISSUER = "https://accounts.example.org"
POLICY = json.dumps({"meta": {"version": 1}, "release": 0, "digests": {"/bin/true": ["ab" * 32]}, "excludes": [],
                     "keyrings": {}, "ima-buf": {}, "ima": {"ignored_keyrings": [], "log_hash_alg": "sha1", "dm_policy": None},
                     "verification-keys": ""}).encode()
KEYLIME = "application/vnd.keylime+json"
SHA = {256: hashes.SHA256, 384: hashes.SHA384, 512: hashes.SHA512}
SCT_OID = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
V1_OID = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
V2_OID = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")


def b64(b):
    return base64.standard_b64encode(b).decode()


def when(t):
    return datetime.datetime.utcfromtimestamp(t)


def stamp(t):
    return when(t).strftime("%Y-%m-%dT%H:%M:%SZ")


def spki(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pem_public(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def pem_cert(c):
    return c.public_bytes(serialization.Encoding.PEM)


def sign(key, message, bits=None):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, ec.ECDSA(SHA[bits or {256: 256, 384: 384, 521: 512}[key.curve.key_size]]()))


# ---- DER by hand, for what no library writes ----
def der(tag, content):
    n = len(content)
    size = bytes([n]) if n < 128 else (bytes([0x81, n]) if n < 256 else bytes([0x82]) + struct.pack(">H", n))
    return bytes([tag]) + size + content


class Authority:
    """A root and, below it, the one that issues to signers."""

    def __init__(self, eku=True, ca=True, start=T0 - 1000000, end=T0 + 100000000):
        self.root_key = ec.generate_private_key(ec.SECP384R1())
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mini root")])
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mini intermediate")])
        self.root = self.make(self.root_name, self.root_name, self.root_key, self.root_key, True, False, start, end)
        self.issuer = self.make(self.name, self.root_name, self.key, self.root_key, ca, eku, start, end)

    @staticmethod
    def make(subject, issuer, key, signer, ca, eku, start, end):
        b = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        b = b.serial_number(x509.random_serial_number()).not_valid_before(when(start)).not_valid_after(when(end))
        b = b.add_extension(x509.BasicConstraints(ca, None), True)
        if ca:
            b = b.add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
        b = b.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        if eku == "other":
            b = b.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), False)
        elif eku:
            b = b.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
        return b.sign(signer, hashes.SHA384())

    def issue(self, key, logs=(), names=None, v1=ISSUER, v2=ISSUER, eku=ExtendedKeyUsageOID.CODE_SIGNING, ca=False, usage=True,
              start=T0, end=T0 + 600, sct_first=False, spoil=None):
        names = [x509.RFC822Name(IDENTITY)] if names is None else names
        serial = x509.random_serial_number()

        def builder(scts):
            b = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.name).public_key(key.public_key())
            b = b.serial_number(serial).not_valid_before(when(start)).not_valid_after(when(end))
            if scts is not None and sct_first:
                b = b.add_extension(x509.UnrecognizedExtension(SCT_OID, scts), False)
            if usage:
                b = b.add_extension(x509.KeyUsage(usage is True, False, usage == "other", *[False] * 6), True)
            if ca:
                b = b.add_extension(x509.BasicConstraints(True, None), True)
            if eku:
                b = b.add_extension(x509.ExtendedKeyUsage([eku]), False)
            b = b.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
            if names:
                b = b.add_extension(x509.SubjectAlternativeName(names), True)
            if v1 is not None:
                b = b.add_extension(x509.UnrecognizedExtension(V1_OID, v1.encode()), False)
            if v2 is not None:
                b = b.add_extension(x509.UnrecognizedExtension(V2_OID, der(0x0c, v2.encode())), False)
            if scts is not None and not sct_first:
                b = b.add_extension(x509.UnrecognizedExtension(SCT_OID, scts), False)
            return b

        if not logs:
            return builder(None).sign(self.key, hashes.SHA384())
        seen = builder(None).sign(self.key, hashes.SHA384()).tbs_certificate_bytes
        key_hash = hashlib.sha256(spki(self.key.public_key())).digest()
        items = b"".join(struct.pack(">H", len(s)) + s for s in (log.stamp(seen, key_hash, spoil) for log in logs))
        content = struct.pack(">H", len(items)) + items
        if spoil == "length":
            content = struct.pack(">H", len(items) + 1) + items
        if spoil == "trailing":
            content += b"\0"
        return builder(der(0x04, content)).sign(self.key, hashes.SHA384())

    def forge(self, cert, old, new):
        """The certificate with bytes of it replaced (same length), signed again: what the library refuses to build."""
        tbs = cert.tbs_certificate_bytes
        assert len(old) == len(new) and tbs.count(old) == 1
        alg = der(0x30, bytes.fromhex("06082a8648ce3d040303"))
        tbs = tbs.replace(old, new)
        return x509.load_der_x509_certificate(der(0x30, tbs + alg + der(0x03, b"\0" + sign(self.key, tbs, 384))))

    def as_root(self, start=T0 - 1000, end=None, chain=None):
        valid = {"start": stamp(start)}
        if end:
            valid["end"] = stamp(end)
        return {"subject": {"commonName": "mini"}, "uri": "https://ca.example.org", "validFor": valid,
                "certChain": {"certificates": [{"rawBytes": b64(c.public_bytes(serialization.Encoding.DER))}
                                               for c in (chain or [self.issuer, self.root])]}}


class CertLog:
    """RFC 6962."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = hashlib.sha256(spki(self.key.public_key())).digest()

    def stamp(self, tbs, issuer_hash, spoil=None):
        ms = (T0 + 1) * 1000 + 7
        extensions = b""
        if spoil == "time-signed":
            ms += 1
        if spoil == "issuer":
            issuer_hash = bytes(32)
        message = b"\0\0" + struct.pack(">QH", ms, 1) + issuer_hash + struct.pack(">I", len(tbs))[1:] + tbs
        message += struct.pack(">H", len(extensions)) + extensions
        sig = sign(self.key, message)
        if spoil == "time-signed":
            ms -= 1
        version, alg = (1 if spoil == "version" else 0), (0x0401 if spoil == "algorithm" else 0x0403)
        return bytes([version]) + self.id + struct.pack(">QH", ms, 0) + struct.pack(">HH", alg, len(sig)) + sig

    def as_root(self, start=T0 - 1000, end=None):
        return as_log(self, start, end)


def as_log(log, start, end):
    valid = {"start": stamp(start)}
    if end:
        valid["end"] = stamp(end)
    details = "PKIX_ED25519" if isinstance(log.key, ed25519.Ed25519PrivateKey) else "PKIX_ECDSA_P256_SHA_256"
    return {"baseUrl": "https://log.example.org", "hashAlgorithm": "SHA2_256", "logId": {"keyId": b64(log.id)},
            "publicKey": {"rawBytes": b64(spki(log.key.public_key())), "keyDetails": details, "validFor": valid}}


# ---- RFC 6962 section 2.1, as its definitions are written ----
def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def tree(leaves):
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\1" + tree(leaves[:k]) + tree(leaves[k:])).digest()


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [tree(leaves[k:])]
    return path(m - k, leaves[k:]) + [tree(leaves[:k])]


class TransparencyLog:
    def __init__(self, key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.id = hashlib.sha256(spki(self.key.public_key())).digest()

    def promise(self, body, t, index):
        message = '{"body":"%s","integratedTime":%d,"logID":"%s","logIndex":%d}' % (b64(body), t, self.id.hex(), index)
        return sign(self.key, message.encode())

    def checkpoint(self, size, root, extra="", hint=None, key=None):
        text = "log.example.org - 4711\n%d\n%s\n%s" % (size, b64(root), extra)
        sig = (hint or self.id[:4]) + sign(key or self.key, text.encode())
        return text + "\n\u2014 log.example.org " + b64(sig) + "\n"

    def entry(self, body, t=LOGGED, before=5, after=3, kind="hashedrekord", index=4711):
        leaves = [b"other %d" % i for i in range(before)] + [body] + [b"later %d" % i for i in range(after)]
        root = tree(leaves)
        return {"logIndex": str(index), "logId": {"keyId": b64(self.id)}, "kindVersion": {"kind": kind, "version": "0.0.1"},
                "integratedTime": str(t), "inclusionPromise": {"signedEntryTimestamp": b64(self.promise(body, t, index))},
                "inclusionProof": {"logIndex": str(before), "treeSize": str(len(leaves)), "rootHash": b64(root),
                                   "hashes": [b64(h) for h in path(before, leaves)],
                                   "checkpoint": {"envelope": self.checkpoint(len(leaves), root)}},
                "canonicalizedBody": b64(body)}

    def as_root(self, start=T0 - 1000, end=None):
        return as_log(self, start, end)


def compact(o):
    return json.dumps(o, separators=(",", ":"), sort_keys=True).encode()


def record_body(file, sig, verifier, alg="sha256"):
    return compact({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": alg, "value": hashlib.new(alg, file).hexdigest()}},
        "signature": {"content": b64(sig), "publicKey": {"content": b64(verifier)}}}})


def dsse_body(payload, sig, verifier):
    return compact({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "envelopeHash": {"algorithm": "sha256", "value": "00" * 32},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": [{"signature": b64(sig), "verifier": b64(verifier)}]}})


def pae(kind, payload):
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def envelope(keys, payload=POLICY, kind=KEYLIME, bits=None, keyid=None):
    sigs = [{"sig": b64(sign(k, pae(kind, payload), bits))} for k in keys]
    if keyid is not None:
        for s in sigs:
            s["keyid"] = keyid
    return {"payload": b64(payload), "payloadType": kind, "signatures": sigs}


V3 = "application/vnd.dev.sigstore.bundle.v0.3+json"


def message_bundle(leaf, key, log, file=POLICY, media=V3, bits=None, entries=None):
    sig = sign(key, file, bits)
    body = record_body(file, sig, pem_cert(leaf))
    raw = {"rawBytes": b64(leaf.public_bytes(serialization.Encoding.DER))}
    material = {"certificate": raw} if media.endswith("v0.3+json") or media.endswith("=0.3") else \
        {"x509CertificateChain": {"certificates": [raw]}}
    material["tlogEntries"] = [log.entry(body)] if entries is None else entries(body)
    return {"mediaType": media, "verificationMaterial": material,
            "messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(file).digest())},
                                 "signature": b64(sig)}}


def envelope_bundle(leaf, key, log, payload=POLICY, kind=KEYLIME):
    sig = sign(key, pae(kind, payload))
    body = dsse_body(payload, sig, pem_cert(leaf))
    return {"mediaType": V3, "verificationMaterial": {
        "certificate": {"rawBytes": b64(leaf.public_bytes(serialization.Encoding.DER))},
        "tlogEntries": [log.entry(body, kind="dsse")]},
        "dsseEnvelope": {"payload": b64(payload), "payloadType": kind, "signatures": [{"sig": b64(sig), "keyid": ""}]}}


class Maker:
    def __init__(self, folder):
        self.folder, self.cases, self.written = folder, [], {}

    def put(self, content):
        """A file with that content; its name."""
        if isinstance(content, dict):
            content = json.dumps(content, ensure_ascii=False).encode()
        name = hashlib.sha256(content).hexdigest()[:16]
        if name not in self.written:
            with open(os.path.join(self.folder, name), "wb") as f:
                f.write(content)
            self.written[name] = True
        return name

    def case(self, name, expect, file=POLICY, detached=None, keys=(), identities=(), roots=(), threshold=1, now=NOW, **who):
        self.cases.append({"name": name, "expect": expect, "file": self.put(file), "now": now, "threshold": threshold,
                           "detached": self.put(detached) if detached is not None else None,
                           "keys": [self.put(k) for k in keys], "identities": [list(i) for i in identities],
                           "roots": [self.put(r) for r in roots], "policy": self.put(POLICY), "who": who})


def change(o, where, value):
    """A copy of o with the member at `where` replaced (None: removed)."""
    o = copy.deepcopy(o)
    at = o
    for step in where[:-1]:
        at = at[step]
    if value is None:
        del at[where[-1]]
    else:
        at[where[-1]] = value
    return o


def flip(text, at=5):
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return b64(bytes(raw))
