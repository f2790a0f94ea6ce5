# SPDX-License-Identifier: Apache-2.0
"""The stream over TLS: certificates that fit, and such as do not. And over a Unix socket. The control socket over TLS."""

import json
import os
import socket
import ssl
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import Collector, Failure, Scenarios, Tpm, Verifier, scaled, wait_for  # noqa: E402

TLS = "tls+tcp://127.0.0.1:0"


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failure("%s: seen %s, expected %s" % (what, seen, wanted))


def openssl(b, *args):
    r = subprocess.run(["openssl"] + list(args), cwd=b.dir, capture_output=True, text=True, check=False)
    if r.returncode:
        raise Failure("openssl %s: %s" % (args[0], r.stderr))


def authority(b, name):
    openssl(b, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=%s" % name, "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", name + ".key",
            "-out", name + ".pem")


def certificate(b, name, ca, host):
    openssl(b, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=%s" % host,
            "-keyout", name + ".key", "-out", name + ".csr")
    with open(b.dir + "/ext", "w", encoding="utf-8") as f:
        f.write("subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n" % host)
    openssl(b, "x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-CAcreateserial",
            "-days", "2", "-extfile", "ext", "-out", name + ".pem")


def tls_options(b, cert=None, ca=None, name=None):
    options = []
    if cert:
        options += ["--tls-cert", "%s/%s.pem" % (b.dir, cert), "--tls-key", "%s/%s.key" % (b.dir, cert)]
    if ca:
        options += ["--tls-ca", "%s/%s.pem" % (b.dir, ca)]
    if name:
        options += ["--tls-server-name", name]
    return options


def certificates(b):
    authority(b, "ca")
    authority(b, "other-ca")
    certificate(b, "server", "ca", "localhost")
    certificate(b, "client", "ca", "collector")
    certificate(b, "stranger", "other-ca", "collector")


def tls(b):
    certificates(b)
    v = Verifier(b, listen=TLS, options=tls_options(b, "server"))
    c = Collector(b, v.url, b.source, options=tls_options(b, ca="ca", name="localhost"))
    b.feed(scaled(1000), 1).join()
    v.kill()
    b.write(100)
    v.start()
    b.compare(v, c)


def kept_out(b, v, strangers):
    """Each on a TPM of its own: none gets in, and each says something about the connection."""
    collectors = [Collector(b, v.url, b.source, name=name, options=options, tpm=Tpm(b.dir))
                  for name, options in strangers.items()]
    for c in collectors:
        wait_for(lambda c=c: "a word about the connection, it said " + c.process.said(),
                 lambda c=c: "no connection" in c.process.said())
    expect("attesters", v.attesters(), [])
    for c in collectors:
        c.stop()


def tls_wrong(b):
    """Not the authority, not the name: nothing is said to that verifier, and the log tells."""
    certificates(b)
    v = Verifier(b, listen=TLS, options=tls_options(b, "server"))
    b.write(10)
    kept_out(b, v, {"other-authority": tls_options(b, ca="other-ca", name="localhost"),
                    "other-name": tls_options(b, ca="ca", name="elsewhere")})


def tls_client(b):
    certificates(b)
    v = Verifier(b, listen=TLS, options=tls_options(b, "server", "ca") + ["--tls-require-client-cert"])
    b.write(10)
    kept_out(b, v, {"no-certificate": tls_options(b, ca="ca", name="localhost"),
                    "certificate-of-another-authority": tls_options(b, "stranger", "ca", "localhost")})
    c = Collector(b, v.url, b.source, name="good", options=tls_options(b, "client", "ca", "localhost"))
    b.write(100)
    b.compare(v, c)


def ask(b, url, question, cert):
    """One request to a control socket over TLS, with the protocol of nng's REQ socket (SP over TCP)."""
    context = ssl.create_default_context(cafile=b.dir + "/ca.pem")
    context.load_cert_chain("%s/%s.pem" % (b.dir, cert), "%s/%s.key" % (b.dir, cert))
    body = struct.pack(">I", 0x80000001) + json.dumps(question).encode()

    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=scaled(20)) as plain, \
            context.wrap_socket(plain, server_hostname="localhost") as s, s.makefile("rb") as f:
        s.sendall(b"\0SP\0" + struct.pack(">HH", 0x30, 0) + struct.pack(">Q", len(body)) + body)
        expect("the other protocol", f.read(8), b"\0SP\0" + struct.pack(">HH", 0x31, 0))
        size = struct.unpack(">Q", f.read(8))[0]
        return json.loads(f.read(size)[4:])


def control_by_host(b):
    """A host's certificate opens the evidence port. Shown to the control port it lets its owner look, and change nothing."""
    certificates(b)
    v = Verifier(b, listen=TLS, control=TLS,
                 options=tls_options(b, "server", "ca") + ["--tls-require-client-cert"])
    expect("a question", ask(b, v.control, {"get": "policies"}, "client").get("error"), None)
    for change in ({"policy": "reload"}, {"policy": "rollback", "name": "default"},
                   {"policy": "overlap", "name": "default", "overlap_s": 3600}):
        answer = ask(b, v.control, change, "client")
        if "this machine" not in answer.get("error", ""):
            raise Failure("%s by a host's certificate: %s" % (change, answer))


def ipc(b):
    v = Verifier(b, listen="ipc://%s/evidence" % b.dir)
    c = Collector(b, v.url, b.source)
    b.feed(scaled(1000), 1).join()
    v.kill()
    v.start()
    b.write(100)
    b.compare(v, c)


s = Scenarios()
s.run("TLS", tls)
s.run("TLS: wrong authority, wrong name", tls_wrong)
s.run("TLS: client certificate required", tls_client)
s.run("control over TLS: a host's certificate changes nothing", control_by_host)
s.run("evidence over a Unix socket", ipc)
s.done()
