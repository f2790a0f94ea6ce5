# SPDX-License-Identifier: Apache-2.0
"""Measurement lists in the kernel's binary form, and the oracle: an own, slow and simple replay.

Nothing here is shared with the programs under test. Sources: security/integrity/ima/ima_fs.c (the form),
ima_template_lib.c (the fields), ima_queue.c (what is extended).
"""

import hashlib
import json
import random
import struct

SIZES = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}


def h(name, data):
    return getattr(hashlib, name)(data).digest()


def field(data):
    return struct.pack("<I", len(data)) + data


class Entry:
    """One entry: how it stands in the list, and what is extended for it."""

    def __init__(self, template, data, hashed=None, listed=None, violation=False, pcr=10):
        self.pcr = pcr
        self.violation = violation
        self.hashed = data if hashed is None else hashed
        column = b"\0" * 20 if violation else h("sha1", self.hashed)
        name = template.encode()
        body = (struct.pack("<I", len(data)) + data) if listed is None else listed
        self.wire = struct.pack("<I", pcr) + column + struct.pack("<I", len(name)) + name + body

    def extends(self, bank):
        return b"\xff" * SIZES[bank] if self.violation else h(bank, self.hashed)


def d_ng(digest, alg="sha256", kind=""):
    return field(kind.encode() + alg.encode() + b":\0" + digest)


def n_ng(path):
    return field(path.encode() + b"\0")


def ima_ng(path, digest, alg="sha256", pcr=10):
    return Entry("ima-ng", d_ng(digest, alg) + n_ng(path), pcr=pcr)


def ima_sig(path, digest, sig=b""):
    return Entry("ima-sig", d_ng(digest) + n_ng(path) + field(sig))


def ima_ngv2(path, digest):
    return Entry("ima-ngv2", d_ng(digest, kind="ima:") + n_ng(path))


def custom(path, digest):
    """A format of the administrator's own: ima_template_fmt=n-ng|d-ng|imode"""
    return Entry("n-ng|d-ng|imode", n_ng(path) + d_ng(digest) + field(struct.pack("<H", 0o100755)))


def ima_legacy(path, sha1):
    """The template "ima": no length in front of the digest, hashed with the name padded to 256 bytes."""
    name = path.encode()
    listed = sha1 + struct.pack("<I", len(name)) + name
    return Entry("ima", b"", hashed=sha1 + name.ljust(256, b"\0"), listed=listed)


def violation(path):
    return Entry("ima-ng", d_ng(b"\0" * 32) + n_ng(path), violation=True)


def boot_aggregate(boot_pcrs=b"\0" * 32 * 10):
    """The first entry of a list: the digest of the SHA-256 values of PCR 0 to 9 (zeros in a fresh software TPM)."""
    return ima_ng("boot_aggregate", h("sha256", boot_pcrs))


class Oracle:
    """PCR 10 in several banks after some entries."""

    def __init__(self, banks=("sha1", "sha256", "sha384")):
        self.value = {b: b"\0" * SIZES[b] for b in banks}
        self.entries = 0

    def add(self, entry):
        self.entries += 1
        if entry.pcr != 10:
            return
        for bank, value in self.value.items():
            self.value[bank] = h(bank, value + entry.extends(bank))

    def hex(self, bank):
        return self.value[bank].hex()


def digest_of(i, alg="sha256"):
    return h(alg, b"content of tool %d" % i)


def path_of(i):
    return "/usr/bin/tool-%d" % i


def write_policy(path, known):
    """A Keylime runtime policy, version 1, that knows `known` tools."""
    digests = {path_of(i): [digest_of(i).hex(), digest_of(i, "sha1").hex()] for i in range(known)}
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"meta": {"version": 1}, "release": 0, "digests": digests, "excludes": [], "keyrings": {},
                   "ima": {"ignored_keyrings": [], "log_hash_alg": "sha1", "dm_policy": None}, "ima-buf": {},
                   "verification-keys": ""}, f)


class Workload:
    """Entries from a seed: known files mostly, and planted ones that a verifier must find, each exactly once."""

    KNOWN = 500

    def __init__(self, seed, name, rare=150):
        self.random = random.Random("%s %s" % (seed, name))
        self.oracle = Oracle()
        self.planted = {}  # number of the entry, from 1: (path, reason)
        self.rare = rare
        self.padding = 0   # bytes of signature that known entries carry
        self.sent = []     # wire form of everything, in order

    @property
    def count(self):
        return self.oracle.entries

    def known(self):
        r, i = self.random, self.random.randrange(self.KNOWN)
        if self.padding:
            return ima_sig(path_of(i), digest_of(i), r.randbytes(self.padding))
        kind = r.random()
        if kind < 0.80:
            return ima_ng(path_of(i), digest_of(i))
        if kind < 0.88:
            return ima_sig(path_of(i), digest_of(i))
        if kind < 0.94:
            return ima_ngv2(path_of(i), digest_of(i))
        return custom(path_of(i), digest_of(i))

    def unknown(self):
        n = self.count + 1
        kind = self.random.randrange(5)
        if kind < 2:
            path = "/opt/unknown/%d" % n
            self.planted[n] = (path, "digest-unknown")
            return ima_ng(path, h("sha256", path.encode()))
        if kind == 2:
            path = path_of(self.random.randrange(self.KNOWN))
            self.planted[n] = (path, "digest-mismatch")
            return ima_ng(path, h("sha256", b"other content %d" % n))
        if kind == 3:
            i = self.random.randrange(self.KNOWN)
            self.planted[n] = (path_of(i), "digest-weak")
            return ima_legacy(path_of(i), digest_of(i, "sha1"))
        path = "/var/log/written-%d" % n
        self.planted[n] = (path, "violation")
        return violation(path)

    def next(self, plant=None):
        """The wire form of the next entry. plant: True, False, or None for now and then."""
        if plant is None:
            plant = self.random.randrange(self.rare) == 0
        if self.count == 0:
            e = boot_aggregate()
        else:
            e = self.unknown() if plant else self.known()
        self.oracle.add(e)
        self.sent.append(e.wire)
        return e.wire

    def take(self, n, plant=None):
        return b"".join(self.next(plant) for _ in range(n))

    @property
    def fails(self):
        return sum(1 for _, reason in self.planted.values() if reason in ("digest-unknown", "digest-mismatch"))
