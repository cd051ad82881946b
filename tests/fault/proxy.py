# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Stands between two programs that talk over TCP or a unix socket, and does what networks do."""
import os
import random
import selectors
import socket
import struct
import tempfile
import threading
import time
from collections import deque

UP, DOWN = "up", "down"  # to the server, to the client
CHUNK, WAITING_MAX = 16384, 1 << 20
RESET = struct.pack("ii", 1, 0)


def open_socket(address):
    """address: a port on loopback, or the path of a socket."""
    kind = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    return socket.socket(kind), address if isinstance(address, str) else ("127.0.0.1", address)


class Way:
    """One direction of one connection: what was read and is not yet written."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.waiting, self.size, self.free_at, self.ended = deque(), 0, 0.0, False


class Proxy:
    """Faults may be changed at any time; each is of both directions unless it says which."""

    def __init__(self, server, seed, port=None):
        self.server, self.random = server, random.Random(seed)
        self.delay = self.jitter = 0.0  # seconds
        self.rate = None                # bytes a second
        self.silent = set()             # directions in which all is swallowed
        self.flips = {UP: 0.0, DOWN: 0.0}  # the part of chunks in which a bit is turned
        self.flipped = self.swallowed = self.connections = 0
        self.lock, self.pairs, self.over = threading.Lock(), [], False
        if port is None:
            self.place = tempfile.TemporaryDirectory(prefix="presence-")
            self.address = self.place.name + "/proxy.sock"
        else:
            self.address = port
        self.listener, address = open_socket(self.address)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen(1000)
        self.wake_in, self.wake_out = os.pipe()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.selector.register(self.wake_in, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"unix://{self.address}"

    def heal(self):
        self.delay = self.jitter = 0.0
        self.rate, self.silent, self.flips = None, set(), {UP: 0.0, DOWN: 0.0}
        os.write(self.wake_out, b"x")

    def reset(self):
        """RST, or what a unix socket has for it, to both ends of all connections."""
        with self.lock:
            for pair in list(self.pairs):
                self._end(pair, abruptly=True)

    def half_close(self, direction):
        """No more comes in this direction, and the end is told."""
        with self.lock:
            for pair in self.pairs:
                way = pair[direction == DOWN]
                way.ended = True
                try:
                    way.sink.shutdown(socket.SHUT_WR)
                except OSError:
                    pass

    def close(self):
        self.over = True
        os.write(self.wake_out, b"x")
        self.thread.join(5)
        self.reset()
        self.listener.close()

    def _run(self):
        while not self.over:
            with self.lock:
                next_at = self._deliver()
            for key, _ in self.selector.select(min(0.05, max(0.0, next_at - time.monotonic()))):
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj == self.wake_in:
                    os.read(self.wake_in, CHUNK)
                else:
                    with self.lock:
                        self._read(key)

    def _accept(self):
        client = self.listener.accept()[0]
        server, address = open_socket(self.server)
        try:
            server.connect(address)
        except OSError:
            client.close()
            server.close()
            return
        self.connections += 1
        pair = (Way(client, server), Way(server, client))
        with self.lock:
            self.pairs.append(pair)
            for way in pair:
                way.source.setblocking(False)
                self.selector.register(way.source, selectors.EVENT_READ, (pair, way))

    def _read(self, key):
        pair, way = key.data
        if pair not in self.pairs or way.size > WAITING_MAX:
            return
        try:
            data = way.source.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._end(pair, abruptly=True)
            return
        direction = UP if way is pair[0] else DOWN
        if direction in self.silent or way.ended:
            self.swallowed += len(data)
            if not data:
                self.selector.unregister(way.source)
            return
        if data and self.random.random() < self.flips[direction]:
            data = bytearray(data)
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            self.flipped += 1
        now = time.monotonic()
        at = now + self.delay + self.jitter * self.random.random()
        if self.rate:
            way.free_at = at = max(at, way.free_at) + len(data) / self.rate
        if way.waiting:
            at = max(at, way.waiting[-1][0])  # a stream keeps its order
        way.waiting.append((at, bytes(data)))
        way.size += len(data)

    def _deliver(self):
        """Writes what is due; returns when there is more to do."""
        now, next_at = time.monotonic(), time.monotonic() + 1
        for pair in list(self.pairs):
            for way in pair:
                while way.waiting and way.waiting[0][0] <= now and pair in self.pairs:
                    if not self._write(pair, way):
                        next_at = min(next_at, now + 0.002)
                        break
                if way.waiting:
                    next_at = min(next_at, max(way.waiting[0][0], now + 0.0005))
        return next_at

    def _write(self, pair, way):
        at, data = way.waiting[0]
        if not data:
            self._end(pair)
            return True
        try:
            sent = way.sink.send(data)
        except BlockingIOError:
            return False
        except OSError:
            self._end(pair, abruptly=True)
            return True
        way.size -= sent
        if sent < len(data):
            way.waiting[0] = (at, data[sent:])
            return False
        way.waiting.popleft()
        return True

    def _end(self, pair, abruptly=False):
        if pair not in self.pairs:
            return
        self.pairs.remove(pair)
        for way in pair:
            try:
                self.selector.unregister(way.source)
            except (KeyError, ValueError):
                pass
            try:
                if abruptly and way.source.family == socket.AF_INET:
                    way.source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            except OSError:
                pass
            way.source.close()
