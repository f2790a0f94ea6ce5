#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes measurement lists in both kernel forms with the PCR values they give, independently of imastream's code.

Usage: make.py OUTDIR. Deterministic. Sources: security/integrity/ima/{ima_fs,ima_template_lib,ima_crypto,ima_queue}.c.
Files: NAME.COLUMN.bin, NAME.COLUMN.ascii, NAME.pcrs (lines: PCR BANK HEX).
"""
import hashlib
import struct
import sys

BANKS = ["sha1", "sha256", "sha384", "sha512"]
TEMPLATES = {
    "ima": "d|n",
    "ima-ng": "d-ng|n-ng",
    "ima-sig": "d-ng|n-ng|sig",
    "ima-ngv2": "d-ngv2|n-ng",
    "ima-sigv2": "d-ngv2|n-ng|sig",
    "ima-buf": "d-ng|n-ng|buf",
    "ima-modsig": "d-ng|n-ng|sig|d-modsig|modsig",
    "evm-sig": "d-ng|n-ng|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode",
}


def file_digest(alg, seed):
    return hashlib.new(alg, seed.encode("utf-8", "surrogateescape")).digest()


def label(text, digest):
    return text.encode() + b":\0" + digest


def name(path):
    return path.replace(" ", "_").encode("utf-8", "surrogateescape") + b"\0"


def show(field, data):
    """What ima_show_template_data_ascii() prints."""
    if not data:
        return b""
    if field in ("d-ng", "d-ngv2", "d-modsig"):
        text, digest = data.split(b"\0", 1)
        return text + digest.hex().encode()
    if field in ("n", "n-ng", "xattrnames"):
        return data.split(b"\0", 1)[0]
    if field in ("iuid", "igid", "imode"):
        return str(int.from_bytes(data, "little")).encode()
    return data.hex().encode()


class Entry:
    def __init__(self, template, fields, pcr=10, violation=False):
        self.template, self.fields, self.pcr, self.violation = template, fields, pcr, violation
        self.ids = TEMPLATES.get(template, template).split("|")
        assert len(self.ids) == len(fields), (template, fields)

    def data(self):
        return b"".join(struct.pack("<I", len(f)) + f for f in self.fields)

    def template_hash(self, alg):
        if self.template == "ima":
            digest, path = self.fields
            return hashlib.new(alg, digest + path.ljust(256, b"\0")).digest()
        return hashlib.new(alg, self.data()).digest()

    def column(self, alg):
        h = self.template_hash(alg)
        return bytes(len(h)) if self.violation else h

    def extended(self, alg):
        h = self.template_hash(alg)
        return b"\xff" * len(h) if self.violation else h

    def binary(self, alg):
        t = self.template.encode()
        out = struct.pack("<I", self.pcr) + self.column(alg) + struct.pack("<I", len(t)) + t
        if self.template == "ima":
            digest, path = self.fields
            path = path[:-1]
            return out + digest + struct.pack("<I", len(path)) + path
        return out + struct.pack("<I", len(self.data())) + self.data()

    def ascii(self, alg):
        out = b"%2d " % self.pcr + self.column(alg).hex().encode() + b" " + self.template.encode()
        for i, f in zip(self.ids, self.fields):
            out += b" " + show(i, f)
        return out + b"\n"


def xattrs(pairs):
    names = b"|".join(k.encode() for k, _ in pairs) + b"\0" if pairs else b""
    return names, b"".join(struct.pack("<I", len(v)) for _, v in pairs), b"".join(v for _, v in pairs)


def evm(path, evmsig, pairs, uid, gid, mode):
    return Entry("evm-sig", [label("sha256", file_digest("sha256", path)), name(path), evmsig, *xattrs(pairs),
                             struct.pack("<I", uid), struct.pack("<I", gid), struct.pack("<H", mode)])


def ng(path, alg="sha256", pcr=10):
    return Entry("ima-ng", [label(alg, file_digest(alg, path)), name(path)], pcr)


SIG = b"\x03\x02\x04" + b"\xaa\xbb\xcc\xdd" + struct.pack(">H", 64) + bytes(range(64))
PORTABLE = b"\x05\x02\x04" + b"\x01\x02\x03\x04" + struct.pack(">H", 8) + b"evmsig!!"
CUSTOM = "n-ng|d-ngv2|buf|iuid|igid|imode|d-modsig|sig|modsig|xattrnames|d|n"

LISTS = {
    "ima": [
        Entry("ima", [file_digest("sha1", "boot_aggregate"), name("boot_aggregate")]),
        Entry("ima", [file_digest("sha1", "a"), name("/usr/bin/a b")]),
        Entry("ima", [bytes(20), name("/var/log/violated")], violation=True),
        Entry("ima", [file_digest("sha1", "c"), name("/" + "x" * 254)]),
    ],
    "ima-md5": [
        Entry("ima", [file_digest("sha1", "boot_aggregate"), name("boot_aggregate")]),
        Entry("ima", [file_digest("md5", "a"), name("/usr/bin/md5")]),
        Entry("ima", [bytes(20), name("/var/log/violated")], violation=True),
        Entry("ima", [b"", name("/var/log/violated-without-digest")], violation=True),
        Entry("ima", [file_digest("md5", "b"), name("/usr/bin/md5b")]),
    ],
    "ima-ng": [
        ng("boot_aggregate"), ng("/usr/bin/with space"), ng("/usr/lib/libx.so.6", "sha512"), ng("/old", "sha1"),
        Entry("ima-ng", [label("sha256", bytes(32)), name("/var/log/violated")], violation=True),
        Entry("ima-ng", [label("sha256", bytes(20)), name("/var/log/old kernel")], violation=True),
        ng("/tmp/\u00fcml\u00e4ut"), ng("/tmp/\udcff\udcfe"), ng("/tmp/\t\x1b[31m"),
    ],
    "newline": [
        ng("boot_aggregate"),
        ng("/tmp/a\nb"),
        ng("/tmp/x\n10 " + "0" * 40 + " ima-ng sha256:" + "0" * 64 + " /usr/bin/innocent"),
        Entry("ima-ng", [label("sha256", bytes(32)), name("/tmp/v\nw")], violation=True),
        Entry("ima-sig", [label("sha256", file_digest("sha256", "s")), name("/tmp/\n\n"), SIG]),
        ng("/tmp/last\n"),
    ],
    "ima-sig": [
        Entry("ima-sig", [label("sha256", file_digest("sha256", "boot")), name("boot_aggregate"), b""]),
        Entry("ima-sig", [label("sha256", file_digest("sha256", "dd")), name("/usr/bin/dd"), SIG]),
        Entry("ima-sig", [label("sha256", bytes(32)), name("/var/log/violated"), b""], violation=True),
    ],
    "ima-buf": [
        ng("boot_aggregate"),
        Entry("ima-buf", [label("sha256", file_digest("sha256", "k")), name(".ima"), bytes(range(256)) * 3]),
        Entry("ima-buf", [label("sha256", file_digest("sha256", "v")), name("kernel_version"), b"6.1.0"], pcr=11),
        Entry("ima-buf", [label("sha256", file_digest("sha256", "")), name(""), b""]),
    ],
    "ima-ngv2": [
        Entry("ima-ngv2", [label("ima:sha256", file_digest("sha256", "f")), name("boot_aggregate")]),
        Entry("ima-ngv2", [label("verity:sha256", file_digest("sha256", "g")), name("/verity file")]),
        Entry("ima-ngv2", [label("ima:sha256", bytes(32)), name("/var/log/violated")], violation=True),
    ],
    "ima-sigv2": [
        Entry("ima-sigv2", [label("ima:sha256", file_digest("sha256", "f")), name("/f"), b""]),
        Entry("ima-sigv2", [label("verity:sha512", file_digest("sha512", "g")), name("/g"), SIG]),
    ],
    "ima-modsig": [
        Entry("ima-modsig", [label("sha256", file_digest("sha256", "m")), name("/m"), b"", b"", b""]),
        Entry("ima-modsig", [label("sha256", file_digest("sha256", "k")), name("/k.ko"), SIG,
                             label("sha1", file_digest("sha1", "k-")), b"0\x82pkcs7"]),
    ],
    "evm-sig": [
        Entry("evm-sig", [label("sha256", file_digest("sha256", "boot")), name("boot_aggregate")] + [b""] * 7),
        evm("/usr/bin/e", PORTABLE, [("security.selinux", b"system_u:object_r:bin_t:s0\0"), ("security.ima", SIG)],
            0, 0, 0o100755),
        evm("/home/u/none", b"", [], 1000, 4294967294, 0o104711),
        Entry("evm-sig", [label("sha256", file_digest("sha256", "z")), name("/z"), b"", b"\0", b"", b"",
                          struct.pack("<I", 1), struct.pack("<I", 2), struct.pack("<H", 3)]),
    ],
    "custom": [
        Entry(CUSTOM, [name("/usr/bin/custom"), label("ima:sha384", file_digest("sha384", "c")), b"buffer",
                       struct.pack("<I", 7), struct.pack("<I", 8), struct.pack("<H", 0o644),
                       label("sha256", file_digest("sha256", "cm")), SIG, b"modsig", b"security.ima\0",
                       file_digest("sha1", "c"), name("/usr/bin/custom")]),
        Entry("d|n", [file_digest("sha1", "dn"), name("/usr/bin/dn")]),
        Entry("n-ng", [name("/only/a/name")]),
        Entry("d-ng|n-ng", [label("sha256", bytes(32)), name("/violated")], violation=True),
    ],
    "mixed": [
        ng("boot_aggregate"), ng("/usr/bin/a"), ng("/in/pcr/11", pcr=11),
        Entry("ima-sig", [label("sha256", file_digest("sha256", "dd")), name("/usr/bin/dd"), SIG]),
        Entry("ima", [file_digest("sha1", "a"), name("/usr/bin/a")]),
        Entry("ima-ng", [label("sha256", bytes(32)), name("/var/log/violated")], violation=True),
        ng("/in/pcr/9", pcr=9), ng("/in/pcr/23", pcr=23), ng("/in/pcr/0", pcr=0),
        Entry("ima-buf", [label("sha512", file_digest("sha512", "k")), name("kexec-cmdline"), b"console=ttyS0"]),
    ],
    "unknown": [
        ng("boot_aggregate"),
        Entry("d-ng|n-ng|future", [label("sha256", file_digest("sha256", "u")), name("/u"), b"tomorrow"]),
        ng("/after"),
    ],
}


def main(out):
    for what, entries in LISTS.items():
        for column in BANKS if what in ("mixed", "ima-md5") else ["sha1"]:
            with open(f"{out}/{what}.{column}.bin", "wb") as f:
                f.write(b"".join(e.binary(column) for e in entries))
            with open(f"{out}/{what}.{column}.ascii", "wb") as f:
                f.write(b"".join(e.ascii(column) for e in entries))
        with open(f"{out}/{what}.pcrs", "w", encoding="ascii") as f:
            for pcr in sorted({e.pcr for e in entries}):
                for bank in BANKS:
                    value = bytes(hashlib.new(bank).digest_size)
                    for e in entries:
                        if e.pcr == pcr:
                            value = hashlib.new(bank, value + e.extended(bank)).digest()
                    f.write(f"{pcr} {bank} {value.hex()}\n")


if __name__ == "__main__":
    main(sys.argv[1])
