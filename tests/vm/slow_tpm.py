#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A slow TPM for the guest's kernel: stands between QEMU and swtpm.

usage: slow_tpm.py LISTEN SWTPM [quote=MS] [extend=MS] [trace=FILE]

QEMU hands swtpm one end of a socket pair (CMD_SET_DATAFD, with SCM_RIGHTS on the control socket) and sends TPM commands through
the other. We keep that end, give swtpm one of a pair of our own, and forward commands and answers; the control socket is forwarded
as it is. The answer to TPM2_Quote and TPM2_PCR_Extend is held back for as many milliseconds: the device is busy meanwhile, the
kernel's driver polls it, and whoever wants the TPM next waits in the kernel, as with a TPM that is really slow.

Each answered command is a line in FILE: its code, when it came, when it was answered (nanoseconds, CLOCK_MONOTONIC), response code.
One connection, then the end. Formats: TPM 2.0 Library part 3, 5.2 (command header) and 5.3 (response header)."""

import array
import os
import socket
import struct
import sys
import threading
import time

CODES = {"quote": 0x158, "extend": 0x182}  # TPM 2.0 Library part 2, 6.5.2
HEADER = struct.Struct(">HII")  # tag, size, code
LARGEST = 1 << 16  # bytes of one command or answer; TPMs have 4 KiB


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def read_message(s):
    """One command or answer, and the code in its header."""
    head = read_exactly(s, HEADER.size)
    _, size, code = HEADER.unpack(head)
    if not HEADER.size <= size <= LARGEST:
        raise ValueError("a TPM message of %d bytes" % size)
    return head + read_exactly(s, size - HEADER.size), code


def forward_commands(qemu, tpm, delays, trace):
    try:
        while True:
            command, code = read_message(qemu)
            came = time.monotonic_ns()
            tpm.sendall(command)
            answer, response = read_message(tpm)
            time.sleep(delays.get(code, 0))
            if trace:
                trace.write("%#x %d %d %#x\n" % (code, came, time.monotonic_ns(), response))
            qemu.sendall(answer)
    except (EOFError, OSError):
        pass
    finally:
        qemu.close()
        tpm.close()


def forward_answers(swtpm, qemu):
    try:
        while data := swtpm.recv(LARGEST):
            qemu.sendall(data)
    except OSError:
        pass
    qemu.close()


def serve(qemu, swtpm, delays, trace):
    threading.Thread(target=forward_answers, args=(swtpm, qemu), daemon=True).start()
    room = socket.CMSG_SPACE(4)
    while True:
        data, ancillary, _, _ = qemu.recvmsg(LARGEST, room)
        if not data:
            return
        given = []
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                given += array.array("i", content[: len(content) // 4 * 4])
        if given:
            ours, theirs = socket.socketpair()
            commands = socket.socket(fileno=given[0])
            threading.Thread(target=forward_commands, args=(commands, ours, delays, trace), daemon=True).start()
            swtpm.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
            theirs.close()
        else:
            swtpm.sendall(data)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    listen, swtpm_path = sys.argv[1:3]
    delays, trace = {}, None
    for setting in sys.argv[3:]:
        name, _, value = setting.partition("=")
        if name == "trace":
            trace = open(value, "w", encoding="ascii", buffering=1)  # pylint: disable=consider-using-with
        elif name in CODES:
            delays[CODES[name]] = float(value) / 1000
        else:
            sys.exit("slow_tpm: unknown setting " + setting)
    server = socket.socket(socket.AF_UNIX)
    server.bind(listen + ".new")
    server.listen(1)
    os.rename(listen + ".new", listen)  # there when it can be connected to
    qemu, _ = server.accept()
    swtpm = socket.socket(socket.AF_UNIX)
    swtpm.connect(swtpm_path)
    serve(qemu, swtpm, delays, trace)


if __name__ == "__main__":
    main()
