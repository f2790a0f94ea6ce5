# SPDX-License-Identifier: Apache-2.0
"""Checks a fresh recording of tests/vm/record and writes its recording.json.

An independent, slow and simple replay: every list file must lead to the PCR values that were read from the TPM, and every
quote must be reached at one entry of the list. A recording for which this fails is not kept.
"""

import argparse
import hashlib
import json
import os
import struct
import subprocess
import sys

SIZES = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
PCRS = list(range(17))


def entries(data, header_size):
    """Yields (pcr, header digest, template name, hashed bytes) of a binary list."""
    at = 0

    def take(n):
        nonlocal at
        if at + n > len(data):
            raise ValueError("list is cut at byte %d" % at)
        at += n
        return data[at - n:at]

    while at < len(data):
        pcr = struct.unpack("<I", take(4))[0]
        digest = take(header_size)
        name = take(struct.unpack("<I", take(4))[0]).decode()
        if name == "ima":
            file_digest = take(20)
            path = take(struct.unpack("<I", take(4))[0])
            # What is hashed is the digest and the name padded to 256 bytes.
            yield pcr, digest, name, file_digest + path.ljust(256, b"\0")
        else:
            yield pcr, digest, name, take(struct.unpack("<I", take(4))[0])


def extend(bank, value, digest):
    return hashlib.new(bank, value + digest).digest()


def entry_digest(bank, header, data, mode):
    """What one entry extends into a bank. mode: "own" or "padded" (no such hash in the kernel: SHA-1 and zeros)."""
    size = SIZES[bank]
    if not any(header):
        return b"\xff" * size # all of it in both modes: the kernel knows the size
    if mode == "own":
        return hashlib.new(bank, data).digest()
    return hashlib.sha1(data).digest().ljust(size, b"\0")


def replay(bank, log, mode):
    """PCR values after each entry: a list of dictionaries, the first for no entry at all."""
    states = [{}]
    for pcr, header, _, data in log:
        state = dict(states[-1])
        state[pcr] = extend(bank, state.get(pcr, bytes(SIZES[bank])), entry_digest(bank, header, data, mode))
        states.append(state)
    return states


def attest_digest(message):
    """The PCR digest at the end of a TPMS_ATTEST of a quote."""
    if message[:6] != b"\xffTCG\x80\x18":
        raise ValueError("not a quote")
    size = struct.unpack(">H", message[-34:-32])[0]
    if size != 32:
        raise ValueError("PCR digest of %d bytes" % size)
    return message[-32:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--banks", required=True)
    parser.add_argument("--tools", required=True)
    parser.add_argument("dir")
    args = parser.parse_args()
    os.chdir(args.dir)

    def text(name):
        with open(name, encoding="utf-8") as f:
            return f.read().strip()

    def blob(name):
        with open(name, "rb") as f:
            return f.read()

    banks = args.banks.split(",")
    pcrs = {}
    for bank in banks:
        raw = blob("pcrs-%s.bin" % bank)
        size = SIZES[bank]
        assert len(raw) == size * len(PCRS), (bank, len(raw))
        pcrs[bank] = {n: raw[i * size:(i + 1) * size] for i, n in enumerate(PCRS)}
        os.remove("pcrs-%s.bin" % bank)

    # Every binary list; the old name is the SHA-1 one where there are several.
    lists = []
    logs = {}
    for f in sorted(os.listdir(".")):
        if not f.startswith("binary_runtime_measurements"):
            continue
        suffix = f[len("binary_runtime_measurements"):].lstrip("_")
        ascii_name = f.replace("binary", "ascii", 1)
        logs[f] = list(entries(blob(f), SIZES[suffix or "sha1"]))
        lists.append({"binary": f, "ascii": ascii_name, "header_hash": suffix or "sha1"})
        assert os.path.exists(ascii_name), ascii_name
    main_log = logs["binary_runtime_measurements"]
    for f, log in logs.items():
        assert [(e[0], e[2], e[3]) for e in log] == [(e[0], e[2], e[3]) for e in main_log], f
        bank = (f[len("binary_runtime_measurements"):].lstrip("_")) or "sha1"
        modes = {m for m in ("own", "padded") if all(
            e[1] == entry_digest(bank, e[1], e[3], m) for e in log if any(e[1]))}
        assert modes, "header digests of " + f

    count = int(text("count"))
    assert count == len(main_log), (count, len(main_log))

    # The list leads to the TPM's values.
    bank_modes = {}
    states = {}
    for bank in banks:
        for mode in ("own", "padded"):
            states[bank] = replay(bank, main_log, mode)
            if all(pcrs[bank][n] == v for n, v in states[bank][-1].items()):
                bank_modes[bank] = mode
                break
        else:
            for n, v in states[bank][-1].items():
                print("%s pcr %d: list %s, tpm %s" % (bank, n, v.hex(), pcrs[bank][n].hex()), file=sys.stderr)
            sys.exit("the list does not lead to the PCR values of bank %s" % bank)

    quotes = []
    for line in text("quotes").splitlines():
        key, selection, label, nonce, before, after = line.split(" ")
        bank, numbers = selection.split(":")
        numbers = [int(n) for n in numbers.split(",")]
        stem = "quote-%s-%s" % (label, key)
        message = blob(stem + ".msg")
        wanted = attest_digest(message)
        at = None
        for i, state in enumerate(states[bank]):
            values = b"".join(state.get(n, pcrs[bank][n]) for n in numbers)
            if hashlib.sha256(values).digest() == wanted:
                at = i
                break
        assert at is not None, stem
        assert bytes.fromhex(nonce) in message, stem
        # A second opinion on signature and nonce.
        subprocess.run(["tpm2_checkquote", "-Q", "-u", "ak-%s.pem" % key, "-m", stem + ".msg", "-s", stem + ".sig",
                        "-f", stem + ".pcrs", "-g", "sha256", "-q", nonce], check=True)
        quotes.append({"message": stem + ".msg", "signature": stem + ".sig", "pcrs": stem + ".pcrs",
                       "ak": "ak-%s.pem" % key, "nonce": nonce, "bank": bank, "selection": numbers,
                       "count_before": int(before), "count_after": int(after), "at_entry": at})

    templates = {}
    per_pcr = {}
    for pcr, _, name, _ in main_log:
        templates[name] = templates.get(name, 0) + 1
        per_pcr[str(pcr)] = per_pcr.get(str(pcr), 0) + 1
    zero = sum(1 for e in main_log if not any(e[1]))
    used = sorted(states[banks[0]][-1])
    all_banks = {}
    for n in used:
        all_banks[str(n)] = {b: pcrs[b][n].hex() for b in banks}
    # What a replay gives for banks that this TPM does not have.
    replayed = {str(n): {b: replay(b, main_log, "own")[-1][n].hex() for b in SIZES} for n in used}

    recording = {
        "format": 1,
        "name": args.name,
        "kernel": text("kernel"),
        "kernel_build": text("kernel-build"),
        "cmdline": text("cmdline"),
        "policy": "policy" if os.path.exists("policy") else None,
        "tools": args.tools,
        "entries": count,
        "entries_per_pcr": per_pcr,
        "templates": templates,
        "violations": zero,
        "violations_counter": int(text("violations")),
        "lists": lists,
        "banks": {b: bank_modes[b] for b in banks},
        "pcrs": all_banks,
        "pcrs_replayed": replayed,
        "boot_pcrs": {b: {str(n): pcrs[b][n].hex() for n in PCRS if n not in used} for b in banks},
        "quotes": quotes,
        "signing_keys": ["sign-rsa.pem", "sign-ec.pem"],
        "keyring_certificates": ["cert.der", "cert-rsa.der"],
    }
    with open("recording.json", "w", encoding="utf-8") as f:
        json.dump(recording, f, indent=1)
        f.write("\n")
    with open("summary", "w", encoding="utf-8") as f:
        f.write("%d entries %s, %d violations, banks %s, quotes at %s\n" % (
            count, " ".join("%s:%d" % t for t in sorted(templates.items())), zero,
            " ".join("%s(%s)" % b for b in bank_modes.items()), " ".join(str(q["at_entry"]) for q in quotes)))
    for name in ("quotes", "count", "violations", "kernel", "kernel-build", "cmdline"):
        os.remove(name)


if __name__ == "__main__":
    main()
