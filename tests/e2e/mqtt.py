# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A raw MQTT client, so that tests decide every byte and every way to leave.

It never pings, reads or reconnects by itself. Version 4 is MQTT 3.1.1, 5 is MQTT 5."""
import base64
import os
import socket
import struct
import time
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PUBREC, PUBREL, PUBCOMP, UNSUBSCRIBE, UNSUBACK = 5, 6, 7, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
PATIENCE = 20  # seconds to wait for an answer


class Refused(Exception):
    """CONNACK said no; code None: the broker closed the connection instead of answering."""

    def __init__(self, code):
        super().__init__(f"connection refused: {code}")
        self.code = code


class Closed(Exception):
    """The broker closed the connection."""


@dataclass
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: dict = field(default_factory=dict)


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">H", len(raw)) + raw


def varint(number):
    out = b""
    while True:
        number, low = divmod(number, 128)
        out += bytes([low | (128 if number else 0)])
        if not number:
            return out


def take_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def take_text(data, at):
    length = struct.unpack_from(">H", data, at)[0]
    return data[at + 2:at + 2 + length], at + 2 + length


PROPERTIES = {1: ("payload_format", "B"), 2: ("message_expiry", ">I"), 3: ("content_type", None),
              8: ("response_topic", None), 9: ("correlation_data", None)}


def take_properties(data, at):
    length, at = take_varint(data, at)
    end, found = at + length, {}
    while at < end:
        kind, at = take_varint(data, at)
        if kind == 0x0b:  # subscription identifier
            found["subscription"], at = take_varint(data, at)
        elif kind == 0x26:  # user property
            name, at = take_text(data, at)
            found[name.decode()], at = take_text(data, at)
        elif PROPERTIES[kind][1]:
            found[PROPERTIES[kind][0]] = struct.unpack_from(PROPERTIES[kind][1], data, at)[0]
            at += struct.calcsize(PROPERTIES[kind][1])
        else:
            found[PROPERTIES[kind][0]], at = take_text(data, at)
    return found, end


class Client:
    """clean=False asks for a persistent session; in MQTT 5 expiry (seconds) does.
    will: topic, payload, QoS, retain and, in MQTT 5, perhaps its delay in seconds."""

    def __init__(self, port, client_id, *, version=4, ws=False, clean=True, expiry=None,
                 keepalive=60, username=None, password=None, will=None, wait=True):
        self.client_id, self.version, self.ws, self.clean = client_id, version, ws, clean
        self.inbox, self.packet_id, self.stream = [], 0, b""
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ws:
            self._upgrade()
        if version == 5 and not clean and expiry is None:
            expiry = 3600
        self._send_connect(clean, expiry, keepalive, username, password, will)
        if wait:
            self.wait_connack()

    def _send_connect(self, clean, expiry, keepalive, username, password, will):
        flags = 2 if clean else 0
        tail = text(self.client_id)
        if will:
            topic, payload, qos, retain, *delay = will
            flags |= 4 | qos << 3 | (32 if retain else 0)
            if self.version == 5:
                tail += b"\5\x18" + struct.pack(">I", *delay) if delay else b"\0"
            tail += text(topic) + text(payload)
        if username is not None:
            flags |= 128
            tail += text(username)
        if password is not None:
            flags |= 64
            tail += text(password)
        head = text("MQTT") + struct.pack(">BBH", self.version, flags, keepalive)
        if self.version == 5:
            properties = b"" if expiry is None else b"\x11" + struct.pack(">I", expiry)
            head += varint(len(properties)) + properties
        self._send(CONNECT << 4, head + tail)

    def wait_connack(self):
        try:
            body = self._wait(CONNACK)
        except (Closed, ConnectionError):
            self.close()
            raise Refused(None) from None
        self.session_present = bool(body[0] & 1)
        if body[1]:
            self.close()
            raise Refused(body[1])

    def publish(self, topic, payload=b"", qos=0, retain=False, alias=None, properties=b""):
        """Returns the reason code of PUBACK or PUBREC (0 in 3.1.1), None with QoS 0. MQTT 5
        properties are bytes as they stand in the packet."""
        payload = payload if isinstance(payload, bytes) else payload.encode()
        head = text(topic)
        if qos:
            self.packet_id += 1
            head += struct.pack(">H", self.packet_id)
        if self.version == 5:
            if alias is not None:
                properties += b"\x23" + struct.pack(">H", alias)
            head += varint(len(properties)) + properties
        self._send(PUBLISH << 4 | qos << 1 | retain, head + payload)
        if not qos:
            return None
        body = self._wait(PUBACK if qos == 1 else PUBREC)
        code = body[2] if len(body) > 2 else 0
        if qos == 2 and code < 128:
            self._send(PUBREL << 4 | 2, body[:2])
            self._wait(PUBCOMP)
        return code

    def subscribe(self, topic, qos=0):
        """Returns the granted QoS, or the reason code."""
        self.packet_id += 1
        head = struct.pack(">H", self.packet_id) + (b"\0" if self.version == 5 else b"")
        self._send(SUBSCRIBE << 4 | 2, head + text(topic) + bytes([qos]))
        return self._wait(SUBACK)[-1]

    def unsubscribe(self, topic):
        """Returns the reason code, 0 in 3.1.1."""
        self.packet_id += 1
        head = struct.pack(">H", self.packet_id) + (b"\0" if self.version == 5 else b"")
        self._send(UNSUBSCRIBE << 4 | 2, head + text(topic))
        return self._wait(UNSUBACK)[-1] if self.version == 5 else self._wait(UNSUBACK) and 0

    def send_ping(self):
        self._send(PINGREQ << 4, b"")

    def ping(self):
        """Returns when all that was sent before has been dealt with."""
        self.send_ping()
        self._wait(PINGRESP)

    def disconnect(self, expiry=None, reason=0):
        """A clean goodbye, then the end of the connection."""
        body = b""
        if self.version == 5 and (reason or expiry is not None):
            properties = b"" if expiry is None else b"\x11" + struct.pack(">I", expiry)
            body = bytes([reason]) + varint(len(properties)) + properties
        self._send(DISCONNECT << 4, body)
        self.fin()

    def fin(self):
        """Ends the connection with FIN and without a goodbye."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
            self.wait_closed()
        except OSError:
            pass
        self.close()

    def rst(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def wait_closed(self, seconds=PATIENCE):
        """Reads until the broker ends the connection; False: not in this time."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self._handle(self.read_packet(deadline - time.monotonic()))
        except (Closed, ConnectionError):
            return True
        except TimeoutError:
            return False

    def read_packet(self, seconds=PATIENCE):
        self.socket.settimeout(max(seconds, 0.001))
        header = self._read(1)[0]
        length = shift = 0
        while True:
            byte = self._read(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return header, self._read(length)

    def message(self, header, body):
        qos = header >> 1 & 3
        topic, at = take_text(body, 0)
        if qos:
            packet_id = body[at:at + 2]
            at += 2
            self._send(PUBACK << 4, packet_id)
        properties = {}
        if self.version == 5:
            properties, at = take_properties(body, at)
        return Message(topic.decode(), body[at:], qos, bool(header & 1), properties)

    def _handle(self, packet):
        header, body = packet
        if header >> 4 == PUBLISH:
            self.inbox.append(self.message(header, body))
        return header >> 4, body

    def _wait(self, kind, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while True:
            found, body = self._handle(self.read_packet(deadline - time.monotonic()))
            if found == kind:
                return body
            if found == DISCONNECT:
                raise Closed

    def _send(self, header, body):
        data = bytes([header]) + varint(len(body)) + body
        self.socket.sendall(self._frame(0x82, data) if self.ws else data)

    def _read(self, count):
        while len(self.stream) < count:
            self.stream += self._read_frame() if self.ws else self._receive()
        data, self.stream = self.stream[:count], self.stream[count:]
        return data

    def _receive(self, count=65536):
        data = self.socket.recv(count)
        if not data:
            raise Closed
        return data

    # WebSocket (RFC 6455)

    def _upgrade(self):
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((
            "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive(1)
        assert b" 101 " in answer.split(b"\r\n")[0], answer

    @staticmethod
    def _frame(opcode, data):
        mask = os.urandom(4)
        length = len(data)
        if length < 126:
            head = bytes([opcode, 128 | length])
        else:
            head = bytes([opcode, 128 | 126]) + struct.pack(">H", length)
        return head + mask + bytes(byte ^ mask[at & 3] for at, byte in enumerate(data))

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            data += self._receive(count - len(data))
        return data

    def _read_frame(self):
        first, length = self._exactly(2)
        if length == 126:
            length = struct.unpack(">H", self._exactly(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self._exactly(8))[0]
        data = self._exactly(length)
        if first & 15 == 8:
            raise Closed
        return data if first & 15 in (0, 2) else b""
