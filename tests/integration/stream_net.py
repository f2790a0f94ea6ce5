# SPDX-License-Identifier: Apache-2.0
"""Nothing lost, nothing twice, when the network drops, stalls, cuts, duplicates and reorders."""

import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import Collector, Failure, Scenarios, Verifier, scaled  # noqa: E402


def drops(b):
    v = Verifier(b)
    proxy = b.proxy(v)
    c = Collector(b, proxy.url(), b.source)
    feeder = b.feed(scaled(3000), 3)
    for _ in range(12):
        time.sleep(b.random.uniform(0, 0.4))
        proxy.drop()
    feeder.join()
    b.compare(v, c)
    return "%(connections)d connections, %(drops)d dropped" % proxy.counts


def cuts(b):
    v = Verifier(b)
    proxy = b.proxy(v)
    c = Collector(b, proxy.url(), b.source)
    feeder = b.feed(scaled(3000), 3)
    for _ in range(12):
        time.sleep(b.random.uniform(0, 0.35))
        proxy.cut(b.random.randrange(1, 4000))
    feeder.join()
    proxy.cut(1 << 60)
    b.compare(v, c)
    if proxy.counts["cuts"] == 0:
        raise Failure("the connection was never cut")
    return "%(connections)d connections, %(cuts)d cut within a message" % proxy.counts


def stalls(b):
    v = Verifier(b)
    proxy = b.proxy(v)
    c = Collector(b, proxy.url(), b.source)
    feeder = b.feed(scaled(2000), 3)
    for _ in range(4):
        time.sleep(b.random.uniform(0.1, 0.5))
        proxy.stall(True)
        time.sleep(b.random.uniform(0.2, 0.8))
        proxy.stall(False)
    feeder.join()
    b.compare(v, c)


def refused(b):
    """Nobody listens for a while; the collector comes back by itself."""
    v = Verifier(b)
    proxy = b.proxy(v)
    proxy.refusing = True
    c = Collector(b, proxy.url(), b.source)
    b.write(500)
    time.sleep(1)
    proxy.refusing = False
    b.settled(v)
    proxy.refusing = True
    proxy.drop()
    b.write(500)
    time.sleep(1)
    proxy.refusing = False
    b.compare(v, c)


def manipulated(b, proxy, v):
    c = Collector(b, proxy.url(), b.source)
    b.feed(scaled(2500), 3).join()
    for _ in range(20):
        b.write(1)
        time.sleep(0.02)
    b.compare(v, c)
    return ", ".join("%d %s" % (proxy.counts[k], k) for k in ("duplicates", "late", "reordered") if proxy.counts[k])


def duplicates(b):
    v = Verifier(b)
    proxy = b.proxy(v)
    proxy.duplicate = 0.5
    return manipulated(b, proxy, v)


def late_copies(b):
    v = Verifier(b)
    proxy = b.proxy(v)
    proxy.late = 0.5
    return manipulated(b, proxy, v)


def hello_copies(b):
    """A copy of a HELLO may take the session away from its owner, who comes back."""
    v = Verifier(b)
    proxy = b.proxy(v)
    proxy.spare_hello = False
    proxy.duplicate = 1.0
    c = Collector(b, proxy.url(), b.source)
    b.write(500)
    time.sleep(0.5)
    proxy.duplicate = 0.0
    b.compare(v, c)


def everything(b):
    v = Verifier(b)
    proxy = b.proxy(v)
    proxy.duplicate, proxy.late, proxy.reorder = 0.2, 0.2, 0.3
    return manipulated(b, proxy, v)


def garbage(b):
    """Strangers at the verifier's door: noise, requests that are none, sizes that are lies, and such as say nothing."""
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    feeder = b.feed(scaled(2000), 3)
    greeting, silent = b"\0SP\0\0\x30\0\0", []
    port = int(v.url.rsplit(":", 1)[1])
    for i in range(150):
        junk = b.random.randbytes(b.random.randrange(1, 300))
        request = b"\x80\0\0\1" + junk
        parts = (junk,
                 greeting + struct.pack(">Q", len(request)) + request,
                 greeting + struct.pack(">Q", 1 << 62) + junk,
                 greeting + struct.pack(">Q", 4096) + junk,
                 greeting)
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(parts[i % len(parts)])
        if i % 3:
            s.close()
        else:
            silent.append(s)
    feeder.join()
    b.compare(v, c)
    for s in silent:
        s.close()


s = Scenarios()
s.run("connections dropped", drops)
s.run("connections cut within a message", cuts)
s.run("connections that stall", stalls)
s.run("connections refused", refused)
s.run("requests sent twice", duplicates)
s.run("requests sent again later", late_copies)
s.run("the greeting sent twice", hello_copies)
s.run("requests sent twice, later, and in another order", everything)
s.run("strangers that send garbage", garbage)
s.done()
