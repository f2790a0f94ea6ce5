# SPDX-License-Identifier: Apache-2.0
"""What a bad network does to a TCP stream: loses the connection, stalls, cuts a message in two, and, for requests of
nng's REQ protocol, sends them twice, late, or in another order.

nng over TCP: both sides first send 8 bytes (NUL "SP" NUL, protocol, 0), then each message is a big-endian 64-bit
length and that many bytes. A request starts with its 32-bit id (scalability protocols: "TCP mapping", "REQREP").
"""

import queue
import random
import selectors
import socket
import struct
import threading
import time

HEADER = 8
HELLO = b"\x82\x01"  # docs/WIRE.md: an array of type and map


class Link:
    """One connection of a client and its counterpart to the server."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.pending = {client: b"", server: b""}  # to be sent to that socket
        self.messages = b""                        # from the client, not cut into messages yet
        self.greeted = False
        self.held = []                             # (when, message): will be sent to the server then

    def close(self):
        for s in (self.client, self.server):
            try:
                s.close()
            except OSError:
                pass


class Proxy:
    """Runs in a thread of its own until close()."""

    def __init__(self, seed):
        self.random = random.Random("%s proxy" % seed)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.upstream = None
        self.links = []
        self.stalled = False
        self.refusing = False
        self.cut_after = None      # bytes from the client until the connection is cut in the middle of whatever that is
        self.duplicate = 0.0       # chance that a request is sent twice
        self.late = 0.0            # chance that a copy of it is sent once more, some requests later
        self.reorder = 0.0         # chance that it is held back so that the next one overtakes it
        self.spare_hello = True    # a late HELLO is a new session, and a pause for the one before: a test of its own
        self.bytes = {"up": 0, "down": 0}
        self.counts = {"connections": 0, "drops": 0, "cuts": 0, "duplicates": 0, "late": 0, "reordered": 0}
        self.orders = queue.SimpleQueue()  # what other threads want done in this one
        self.bell, self.ring = socket.socketpair()
        self.stop = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def url(self, scheme="tcp"):
        return "%s://127.0.0.1:%d" % (scheme, self.port)

    def to(self, url):
        self.upstream = int(url.rsplit(":", 1)[1])

    def drop(self):
        """Closes every connection now."""
        self.order(self.close_links)

    def cut(self, after):
        """Closes the connection once `after` more bytes from the client have passed."""
        self.order(lambda: setattr(self, "cut_after", after))

    def stall(self, on):
        """Connections stay open, and nothing moves."""
        self.order(lambda: setattr(self, "stalled", on))

    def close(self):
        self.order(lambda: setattr(self, "stop", True))
        self.thread.join()
        self.close_links()
        for s in (self.listener, self.bell, self.ring):
            s.close()

    def order(self, action):
        done = threading.Event()
        self.orders.put((action, done))
        self.ring.send(b"!")
        done.wait(10)

    def close_links(self):
        for link in self.links:
            link.close()
            self.counts["drops"] += 1
        self.links = []

    # --- the thread ---

    def accept(self):
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        if self.refusing or self.upstream is None:
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.upstream), timeout=5)
        except OSError:
            client.close()
            return
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.setblocking(False)
        self.links.append(Link(client, server))
        self.counts["connections"] += 1

    def requests(self, link, data):
        """Cuts what a client sent into messages; returns what goes to the server now."""
        out = b""
        link.messages += data
        if not link.greeted:
            if len(link.messages) < HEADER:
                return out
            out, link.messages = link.messages[:HEADER], link.messages[HEADER:]
            link.greeted = True
        while len(link.messages) >= 8:
            size = struct.unpack(">Q", link.messages[:8])[0]
            if len(link.messages) < 8 + size:
                break
            message, link.messages = link.messages[:8 + size], link.messages[8 + size:]
            now = time.monotonic()
            if self.spare_hello and message[8:8 + len(HELLO) + 4][4:] == HELLO:
                out += message
                continue
            if self.random.random() < self.reorder:
                self.counts["reordered"] += 1
                link.held.append((now + self.random.uniform(0.005, 0.03), message))
                continue
            out += message
            if self.random.random() < self.duplicate:
                self.counts["duplicates"] += 1
                out += message
            if self.random.random() < self.late:
                self.counts["late"] += 1
                link.held.append((now + self.random.uniform(0.005, 0.3), message))
        return out

    def answers(self, link, data):
        """What of the server's bytes goes to the client now."""
        return data

    def release(self, link):
        now = time.monotonic()
        for item in [i for i in link.held if i[0] <= now]:
            link.held.remove(item)
            link.pending[link.server] += item[1]

    def receive(self, link, source):
        """False: the connection is over."""
        try:
            data = source.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        if source is link.server:
            self.bytes["down"] += len(data)
            link.pending[link.client] += self.answers(link, data)
            return True
        self.bytes["up"] += len(data)
        if self.cut_after is not None:
            if len(data) >= self.cut_after:
                data, self.cut_after = data[:self.cut_after], None
                self.counts["cuts"] += 1
                try:
                    link.server.sendall(data)
                except OSError:
                    pass
                return False
            self.cut_after -= len(data)
        link.pending[link.server] += self.requests(link, data)
        return True

    def send(self, link):
        for s, data in link.pending.items():
            if not data:
                continue
            try:
                n = s.send(data)
            except BlockingIOError:
                continue
            except OSError:
                return False
            link.pending[s] = data[n:]
        return True

    def timeout(self):
        times = [when for link in self.links for when, _ in link.held]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def wait(self):
        with selectors.DefaultSelector() as sel:
            sel.register(self.bell, selectors.EVENT_READ)
            sel.register(self.listener, selectors.EVENT_READ)
            for link in self.links if not self.stalled else []:
                for s in (link.client, link.server):
                    sel.register(s, selectors.EVENT_READ | (selectors.EVENT_WRITE if link.pending[s] else 0), link)
            return [(key.fileobj, key.data) for key, _ in sel.select(None if self.stalled else self.timeout())]

    def run(self):
        while not self.stop:
            dead = []
            for s, link in self.wait():
                if s is self.bell:
                    self.bell.recv(1)
                    action, done = self.orders.get()
                    action()
                    done.set()
                elif s is self.listener:
                    self.accept()
                elif link in self.links and link not in dead and not self.receive(link, s):
                    dead.append(link)
            if self.stalled:
                continue
            for link in self.links:
                self.release(link)
                if link not in dead and not self.send(link):
                    dead.append(link)
            for link in dead:
                link.close()
            self.links = [x for x in self.links if x not in dead]
