# SPDX-License-Identifier: Apache-2.0
"""T14: what strangers, and one bad host, may cost. An honest host streams beside each attack, is proven throughout, and is
the proof that the verifier lives; the verifier's memory is measured and bounded. And a man in the middle (T1, T6)."""

import contextlib
import hashlib
import os
import resource
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hostile import GOOD, Puppet, Stage, bounded, digest, expect, measured, memory, pause, refused  # noqa: E402
from stream import SLOW, Collector, Failure, Scenarios, Tpm, Verifier, scaled, wait_for  # noqa: E402

GREETING = b"\0SP\0\0\x30\0\0"  # SP, REQ
MIB = 1 << 20


def port_of(v):
    return int(v.url.rsplit(":", 1)[1])


def dial(v, timeout=10):
    s = socket.create_connection(("127.0.0.1", port_of(v)), timeout=timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def request(body, number=1):
    message = struct.pack(">I", 0x80000000 | number) + body
    return struct.pack(">Q", len(message)) + message


def cbor_uint(major, n):
    for bits, code, fmt in ((24, None, "B"), (1 << 8, 24, "BB"), (1 << 16, 25, ">BH"), (1 << 32, 26, ">BI")):
        if n < bits:
            return bytes([major << 5 | n]) if code is None else struct.pack(fmt, major << 5 | code, n)
    return struct.pack(">BQ", major << 5 | 27, n)


def goes_on(s, path):
    """The honest host measures one more file, and it is proven."""
    expect("the honest host goes on", s.puppet.more(path)["type"], "ACK")
    expect("its state", s.seen()["state"], "trusted")


def wire_bomb(b):
    """A block of a few KiB that would be gigabytes, and one that lies about its size."""
    s = Stage(b)
    s.puppet.honest()
    before = memory(s.v.process)
    for size, options in ((1 << 30, ["--long=27", "--stream-size=%d" % (1 << 30)]), (1 << 30, []),
                          (3 * MIB, ["--stream-size=%d" % (3 * MIB)])):
        with subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE) as zeros:
            frame = subprocess.run(["zstd", "-q", "-c"] + options, stdin=zeros.stdout, capture_output=True,
                                   check=True).stdout
        s.puppet.greet()
        s.puppet.prove()
        answer = s.puppet.do("block", (b"\x01\x00" + frame).hex(), s.puppet.n, 0)
        refused("a bomb of %d bytes in %d" % (size, len(frame)), answer, "protocol-error")
        expect("entries stored", s.seen()["entries"], s.puppet.n)
    s.puppet.honest()
    goes_on(s, GOOD[100])
    return bounded(s, before, 48, "zstd bombs")


def varint(n):
    """LEB128."""
    out = b""
    while n > 0x7f:
        out, n = out + bytes([n & 0x7f | 0x80]), n >> 7
    return out + bytes([n])


def set_number(paths):
    """What blocks call the reference set of these files: docs/WIRE.md, "Reference sets"."""
    tags = sorted(hashlib.sha256(b"imastream record v1\x02" + bytes.fromhex(digest(p)) + p.encode()).digest()[:16]
                  for p in paths)
    whole = hashlib.sha256(b"IMSTREF1" + struct.pack("<I", len(tags)) + b"".join(tags)).digest()
    return struct.unpack(">I", whole[:4])[0] & 0x0fffffff or 1


def unfit_block(b):
    """A block that is good as it comes and does not fit when the verifier packs it for its store: it costs the sender a round,
    and nobody else a request."""
    s = Stage(b)
    p = s.puppet
    p.honest()
    before = memory(s.v.process)
    head = b"\x02" + varint(set_number(GOOD)) + b"\0"  # format 2, the set, not compressed
    shape = b"\x0a\x06ima-ng"  # PCR 10

    def held():
        """The set is made beside the loop. A number beyond it is malformed, but only where it is known."""
        p.greet()
        p.prove()
        beyond = head + b"\1\1" + b"\x0e" + shape + b"\0\2\0" + b"\0\1" + b"\0\0" + b"\xff"
        return p.do("block", beyond.hex(), p.n, 0).get("reason") == "protocol-error"
    wait_for("the verifier to have its reference set", held)
    p.greet()
    p.prove()
    raw, n = b"", 0
    for algorithm, size in (("sha1", 20), ("sha256", 32), ("sha384", 48), ("sha512", 64)):
        for prefix in ("", "ima:", "verity:"):
            for rest in range(14):
                for path in (b"/x", b"/x\0"):
                    field = (prefix + algorithm + ":").encode() + bytes(1 + size)
                    data = b"".join(struct.pack("<I", len(x)) + x for x in (field, path)) + bytes(4 * rest)
                    raw, n = raw + varint(len(data)) + data, n + 1
    block = head + varint(n) + b"\1" + b"\0" + shape + b"\0" + varint(n) + b"\0" + varint(len(raw)) + raw
    for _ in range(20):
        refused("%d forms in one shape" % n, p.do("block", block.hex(), p.n, 0), "reference-unknown")
    expect("entries stored", s.seen()["entries"], p.n)
    if "a batch failed" in s.v.process.said():
        raise Failure("one host's block cost others their requests: " + s.v.process.said())
    goes_on(s, GOOD[104])
    return bounded(s, before, 32, "a block of %d bytes that does not fit" % len(block))


def depth_bomb(b):
    """CBOR that nests a million deep, promises four billion members, and repeats its keys."""
    s = Stage(b)
    s.puppet.honest()
    before = memory(s.v.process)
    bodies = [b"\x82\x01" + b"\x81" * MIB, b"\x82\x01" + b"\xa1\x01" * (MIB // 2), b"\x82\x01\xbb" + b"\xff" * 8,
              b"\x82\x01\x9b" + b"\xff" * 8, b"\x9f" * MIB, b"\x82\x03\xa2\x01\x01\x01\x01", b"\x82\x01\xa1\x02" +
              cbor_uint(2, 1 << 31), b"\xc1" * 1000, b""]
    for body in bodies:
        answer = s.puppet.do("raw", body.hex() if body else "00")
        refused("%r..." % body[:12], answer, "protocol-error", "version-unsupported")
    goes_on(s, GOOD[101])
    return bounded(s, before, 32, "CBOR bombs")


def half_open(b):
    """Ten thousand connections that say hello and nothing more, some not even that."""
    wanted = scaled(10000) if SLOW > 1 else 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    s = Stage(b)
    s.puppet.honest()
    before = memory(s.v.process)
    held = []
    try:
        for i in range(wanted):
            c = dial(s.v)
            if i % 2:
                c.sendall(GREETING)
            elif i % 4:
                c.sendall(GREETING + struct.pack(">Q", 1000) + b"x")
            held.append(c)
            if i % 2000 == 1999:
                goes_on(s, GOOD[20 + i // 2000])
        note = bounded(s, before, 160, "%d half-open connections" % wanted)
        s.puppet.honest()  # a new session is let in beside them
        other = Puppet(Tpm(b.dir), s.v.url)
        refused("another stranger", other.do("hello"), "attester-unknown", "ek-cert-missing", "ek-cert-untrusted")
        pause(13)  # those in the middle of a hello or a message have gone by now
        gone = 0
        for i, c in enumerate(held):
            if i % 2 == 0:
                c.setblocking(False)
                with contextlib.suppress(BlockingIOError, ConnectionResetError):
                    data = c.recv(64)
                    gone += data == b"" or c.recv(64) == b""
        if gone < len(held) // 2 * 9 // 10:
            raise Failure("of %d connections in the middle of something only %d were closed" % (len(held) // 2, gone))
    finally:
        for c in held:
            c.close()
    goes_on(s, GOOD[102])
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return note + "; %d of them closed by the verifier" % gone


def slow_sender(b):
    """Messages of a megabyte, a byte at a time."""
    s = Stage(b)
    s.puppet.honest()
    before = memory(s.v.process)
    slow = [dial(s.v) for _ in range(200)]
    for c in slow:
        c.sendall(GREETING + struct.pack(">Q", 1200000))
    began, open_now = time.monotonic(), list(slow)
    while open_now and time.monotonic() - began < 60 * SLOW:
        for c in list(open_now):
            try:
                c.sendall(b"x")
                c.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    if c.recv(64) == b"" or c.recv(64) == b"":
                        raise ConnectionResetError
                c.setblocking(True)
            except OSError:
                open_now.remove(c)
        time.sleep(0.2)
    if open_now:
        raise Failure("%d slow senders are still served" % len(open_now))
    for c in slow:
        c.close()
    goes_on(s, GOOD[103])
    return bounded(s, before, 96, "200 slow senders, the last one cut off after %.0f s" % (time.monotonic() - began))


def flooder(b):
    """As many well-formed HELLOs of strangers, and as much junk, as four connections can push."""
    s = Stage(b)
    s.puppet.honest()
    before = memory(s.v.process)
    stranger = Puppet(Tpm(b.dir))
    hello = bytearray(1200)
    end, sent = threading.Event(), [0] * 4
    stranger.close()
    body = b"\x82\x01" + bytes(hello)

    def push(i):
        while not end.is_set():
            with contextlib.suppress(OSError), dial(s.v, 5) as c:
                c.sendall(GREETING)
                c.recv(8)
                c.settimeout(1)
                while not end.is_set():
                    c.sendall(request(body if i % 2 else b"\x82\x05\xa1\x01" + cbor_uint(2, 16) + os.urandom(16)) * 50)
                    sent[i] += 50
                    if i < 2:  # two of the four never take an answer
                        with contextlib.suppress(socket.timeout):
                            c.recv(1 << 20)

    threads = [threading.Thread(target=push, args=(i,), daemon=True) for i in range(4)]
    for t in threads:
        t.start()
    for i in range(8):
        time.sleep(0.5)
        goes_on(s, GOOD[110 + i])
    end.set()
    for t in threads:
        t.join(20)
    goes_on(s, GOOD[120])
    return bounded(s, before, 96, "%d requests pushed" % sum(sent))


def hostile_host(b):
    """An enrolled host that streams as fast as it can and never proves anything: its own state goes bad, nothing grows
    without end."""
    s = Stage(b, ["--heartbeat", "1s", "--deadline", "3s"])
    p = s.puppet
    p.honest()
    before = memory(s.v.process)
    first = p.n
    for i in range(4000):
        p.measure("/tmp/flood-%d" % i, "silent")
    for _ in range(scaled(3)):
        for at in range(first, p.n, 1000):
            p.do("entries", at, 1000, p.n)
    s.state("stale", seconds=20)
    if s.seen()["findings"]["fail"] == 0:
        raise Failure("thousands of unknown files and no finding")
    return bounded(s, before, 96, "4000 unproven entries")


# --- a man in the middle ---

class Flipper:
    """Passes bytes on and flips one now and then."""

    def __init__(self, upstream, every):
        self.upstream, self.every, self.flipped, self.on = upstream, every, 0, True
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                a, _ = self.listener.accept()
                c = socket.create_connection(("127.0.0.1", self.upstream), timeout=5)
            except OSError:
                return
            for src, dst in ((a, c), (c, a)):
                threading.Thread(target=self.pass_on, args=(src, dst), daemon=True).start()

    def pass_on(self, src, dst):
        passed = 0
        with contextlib.suppress(OSError):
            while True:
                data = bytearray(src.recv(4096))
                if not data:
                    break
                passed += len(data)
                if self.on and passed > self.every:
                    data[len(data) // 2] ^= 1
                    self.flipped += 1
                    passed = 0
                dst.sendall(data)
        for s in (src, dst):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)


def flipped_bytes(b):
    """Without TLS: what was changed on the way may cost the host its name, but never becomes proven: every proven PCR 10 is
    one that the real list went through."""
    values, add = [b.workload.oracle.hex("sha256")], b.workload.oracle.add

    def added(entry):
        add(entry)
        values.append(b.workload.oracle.hex("sha256"))
    b.workload.oracle.add = added
    v = Verifier(b)
    m = Flipper(port_of(v), 5000)
    c = Collector(b, "tcp://127.0.0.1:%d" % m.port, b.source)
    b.feed(scaled(1500), 3).join()
    c.stop()
    a = v.attester()
    if a and a["pcr10"]:
        expect("PCR 10 at entry %d" % a["proven"], a["pcr10"]["value"], values[a["proven"]])
    if not m.flipped:
        raise Failure("nothing was flipped")
    return "%d bytes flipped, %d of %d entries proven, state %s" % (m.flipped, a["proven"], len(values) - 1, a["state"])


def certificates(b):
    run = lambda *a: subprocess.run(["openssl"] + list(a), cwd=b.dir, capture_output=True, check=True)  # noqa: E731
    for name in ("ca", "mitm"):
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
            "/CN=" + name, "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", name + ".key", "-out", name + ".pem")
    for name, ca in (("server", "ca"), ("fake", "mitm")):
        with open(b.dir + "/ext", "w", encoding="ascii") as f:
            f.write("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost", "-keyout",
            name + ".key", "-out", name + ".csr")
        run("x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-CAcreateserial", "-days", "2",
            "-extfile", "ext", "-out", name + ".pem")


def tls_verifier(b):
    certificates(b)
    return Verifier(b, listen="tls+tcp://127.0.0.1:0",
                    options=["--tls-cert", b.dir + "/server.pem", "--tls-key", b.dir + "/server.key"])


TLS = ["--tls-server-name", "localhost"]


def flipped_under_tls(b):
    """With TLS a changed byte costs the connection, and nothing else: nobody is blamed."""
    v = tls_verifier(b)
    m = Flipper(port_of(v), 20000)
    c = Collector(b, "tls+tcp://127.0.0.1:%d" % m.port, b.source, options=TLS + ["--tls-ca", b.dir + "/ca.pem"])
    b.feed(scaled(1500), 3).join()
    m.on = False
    b.compare(v, c)
    if not m.flipped:
        raise Failure("nothing was flipped")
    return "%d bytes flipped" % m.flipped


def impostor(b):
    """A verifier with somebody else's certificate gets nothing, not even a HELLO."""
    certificates(b)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(b.dir + "/fake.pem", b.dir + "/fake.key")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(1)
    c = Collector(b, "tls+tcp://127.0.0.1:%d" % listener.getsockname()[1], b.source,
                  options=TLS + ["--tls-ca", b.dir + "/ca.pem"])
    b.write(20)
    tries, end = 0, time.monotonic() + 8 * SLOW
    while time.monotonic() < end and tries < 3:
        with contextlib.suppress(OSError):
            raw, _ = listener.accept()
            tries += 1
            raw.settimeout(5)
            with contextlib.suppress(ssl.SSLError), context.wrap_socket(raw, server_side=True) as t:
                data = t.recv(64)
                if data:
                    raise Failure("the impostor was told %r" % data)
    if not tries:
        raise Failure("the collector did not even come")
    c.stop()
    return "%d tries, nothing said" % tries


s = Scenarios()
s.run("T14: zstd bombs", wire_bomb)
s.run("T14: a block that does not fit the store", unfit_block)
s.run("T14: CBOR bombs", depth_bomb)
s.run("T14: slow senders", slow_sender)
s.run("T14: a flood of requests", flooder)
s.run("T14: an enrolled host that floods", hostile_host)
s.run("T14: ten thousand half-open connections", half_open)
s.run("T6: bytes changed on the way, without TLS", measured(flipped_bytes))
s.run("T6: bytes changed on the way, under TLS", measured(flipped_under_tls))
s.run("T6: a verifier that is none", impostor)
s.done()
