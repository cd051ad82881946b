# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A broker with the plugin, its store, an observer of all presence, and clients: what a story
needs. Stories wait for facts; nothing here sleeps."""
import itertools
import json
import shutil
import socket
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mqtt import PINGRESP, PUBLISH, Client, Closed
from servers import SECRET, Broker, Redis, poll

GRACE_MS = 400
RECORD_KEYS = ["v", "role", "id", "status", "previous", "reason", "source", "devices", "since",
               "last_seen", "rev", "node", "note", "until"]
PATIENCE = 20
BASE = """
user root
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
set_tcp_nodelay true
max_queued_messages 1000000
{head}
listener {port} 127.0.0.1
listener {ws_port} 127.0.0.1
protocol websockets
{tail}
"""


def topic_of(subject, base="presence"):
    role, name = subject.split("/", 1)
    return f"{base}/{encode(role)}/{encode(name)}"


def encode(name):
    return "".join("%%%02X" % ord(char) if char in "/+#%$:{}" else char for char in name)


@dataclass
class Seen:
    at: float
    topic: str
    retain: bool
    payload: bytes
    properties: dict

    def __post_init__(self):
        self.record = None
        if self.payload[:1] == b"{" and not self.topic.startswith("$"):
            self.record = json.loads(self.payload)

    @property
    def status(self):
        return self.record["status"] if self.record else None

    def __repr__(self):
        return f"<{self.topic}{' retained' if self.retain else ''} {self.payload.decode()}>"


def text_of(record, key):
    return str(record[key]) if key in record else None


class Observer:
    """Subscribes and remembers all it sees, in order; a thread reads, so times are true."""

    def __init__(self, port, *topics, **how):
        self.seen, self.condition = [], threading.Condition()
        self.asked = self.answered = 0
        self.port, self.ended = port, None
        self.client = Client(port, how.pop("client_id", "observer"), version=5, keepalive=0, **how)
        for topic in topics or ("presence/#",):
            assert self.client.subscribe(topic) < 128, "the observer may not subscribe"
        for message in self.client.inbox:
            self._remember(message)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _remember(self, message):
        with self.condition:
            self.seen.append(Seen(time.monotonic(), message.topic, message.retain,
                                  message.payload, message.properties))
            self.condition.notify_all()

    def _read(self):
        try:
            while True:
                header, body = self.client.read_packet(3600)
                if header >> 4 == PUBLISH:
                    self._remember(self.client.message(header, body))
                elif header >> 4 == PINGRESP:
                    with self.condition:
                        self.answered += 1
                        self.condition.notify_all()
        except Exception as why:
            self.ended = why  # said when something is missed

    def mark(self):
        """A place in what was seen, to start looking from: all that the broker had sent when it
        was asked has been seen. What another client was told may still be on its way to here."""
        with self.condition:
            self.asked += 1
            self.client.send_ping()
            assert self.condition.wait_for(lambda: self.answered >= self.asked, PATIENCE), \
                "the broker does not answer its observer"
            return len(self.seen)

    def since(self, mark, subject=None):
        """All that the broker has sent since mark, or until it went; subject: of one."""
        end = len(self.seen) if self.ended else self.mark()
        return [one for one in self.seen[mark:end]
                if subject is None or one.topic == topic_of(subject)]

    def wait_for(self, predicate, what, seconds=PATIENCE, mark=0):
        """The first message since mark for which predicate holds."""
        deadline = time.monotonic() + seconds
        with self.condition:
            at = mark
            while True:
                while at < len(self.seen):
                    if predicate(self.seen[at]):
                        return self.seen[at]
                    at += 1
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"never saw {what} in {seconds} s, but "
                                         f"{self.seen[mark:][-20:]}; {self._circumstances()}")
                self.condition.wait(left)

    def _circumstances(self):
        """What a newcomer finds: is it the broker that did not say it, or we who did not hear?"""
        if self.ended:
            return f"reading ended with {self.ended!r}"
        try:
            probe = Client(self.port, f"presencectl-why{time.monotonic_ns()}", version=5)
            probe.subscribe("presence/#")
            probe.subscribe("$SYS/broker/presence/#")
            probe.ping()
            return f"retained: {[message for message in probe.inbox][-60:]}"
        except (Closed, OSError) as why:
            return f"a newcomer finds {why!r}"

    def wait(self, subject, status, mark=0, seconds=PATIENCE, **fields):
        """The first record of subject since mark that has this status and these fields."""
        topic = topic_of(subject)

        def fits(one):
            return (one.topic == topic and one.status == status
                    and all(one.record.get(key) == value for key, value in fields.items()))
        return self.wait_for(fits, f"{subject} {status} {fields or ''}", seconds, mark)

    def last(self):
        """What a new subscriber should find retained: topic -> payload."""
        with self.condition:
            last = {one.topic: one.payload for one in self.seen
                    if not one.topic.startswith("$")}
        return {topic: payload for topic, payload in last.items() if payload}

    def close(self):
        try:
            self.client.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        except OSError:
            pass
        self.thread.join(5)
        self.client.close()


class World:
    """conf: a mosquitto.conf of its own, with {port}, {ws_port} and {plugin} in it. Otherwise
    head comes before the listeners and tail after them."""
    names = itertools.count(1)

    def __init__(self, bench, folder, store="none", options=(), head="", tail="", conf=None,
                 plugin=True, anonymous=True, start=True):
        self.bench, self.folder, self.store = bench, folder, store
        self.mosquitto = bench.mosquitto
        self.clients, self.observers, self.redis, self.observer = [], [], None, None
        self.state_file = folder / "state.db"
        if store == "redis":
            self.redis = Redis(folder / "redis").start()
        self.options = {"node": "b1", "grace": f"{GRACE_MS}ms", **self.store_options(),
                        **dict(options)}
        text = conf or BASE.replace("{head}", head).replace("{tail}", tail)
        if not conf:
            text += "allow_anonymous true\n" if anonymous else ""
            text += self.plugin_lines() if plugin else ""
        self.broker = Broker(self.mosquitto, folder / "broker",
                             text.replace("{plugin}", self.plugin_lines() if plugin else ""),
                             bench.sanitizers if plugin else ())
        if start:
            self.start()

    def store_options(self):
        if self.store == "redis":
            return {"redis_url": self.redis.url}
        if self.store == "state_file":
            return {"state_file": self.state_file}
        return {}

    def plugin_lines(self, **changes):
        lines = [f"plugin {self.bench.plugin}"]
        for key, value in {**self.options, **changes}.items():
            for one in value if isinstance(value, (list, tuple)) else [value]:
                lines.append(f"plugin_opt_{key} {one}")
        return "\n".join(lines) + "\n"

    def start(self):
        self.broker.start()
        self.observer = self.observe()
        return self

    def restart(self, number):
        """The clients are gone with the broker; a fresh observer watches the next boot."""
        took = self.broker.stop(number)
        self.drop_clients()
        self.start()
        return took

    def observe(self, *topics, **how):
        how.setdefault("client_id", self.name("presencectl-observer"))
        observer = Observer(self.broker.port, *topics, **how)
        self.observers.append(observer)
        return observer

    def name(self, base="u"):
        return f"{base}{next(self.names)}"

    def connect(self, client_id, ws=False, **how):
        port = self.broker.ws_port if ws else self.broker.port
        client = Client(port, client_id, ws=ws, **how)
        self.clients.append(client)
        return client

    def online(self, client_id, subject, ws=False, **how):
        """Connects, and waits for the record that says so: returns client and record."""
        mark = self.observer.mark()
        client = self.connect(client_id, ws, **how)
        return client, self.observer.wait(subject, "online", mark)

    def agent(self, device="d", **how):
        """A new agent, online: its subject and client."""
        name = self.name()
        client, _ = self.online(f"agent:{name}:{device}", f"agent/{name}", **how)
        return f"agent/{name}", client

    def fence(self):
        """When this returns, all that came before has been seen."""
        self.agent()[1].disconnect()

    def wait_grace_over(self):
        """Another agent is lost now; when it shows, the grace of all that was lost before is
        over too."""
        subject, client = self.agent()
        mark = self.observer.mark()
        client.rst()
        self.observer.wait(subject, "offline", mark)

    def never_offline(self, subject, mark):
        found = [one for one in self.observer.since(mark, subject) if one.status == "offline"]
        assert not found, found

    def reason(self, known):
        """The reason of an end: 2.0.x does not tell."""
        return known if self.mosquitto.knows_why else "unknown"

    # What new subscribers and Redis's readers find

    def retained(self, *topics):
        probe = Client(self.broker.port, self.name("presencectl-probe"), version=5)
        for topic in topics or ("presence/#",):
            probe.subscribe(topic)
        probe.ping()
        probe.disconnect()
        return {one.topic: one.payload for one in probe.inbox if one.retain and one.payload}

    def stats(self):
        prefix = "$SYS/broker/presence/"
        return {topic[len(prefix):]: payload.decode()
                for topic, payload in self.retained(prefix + "#").items()}

    def key(self, rest):
        return "presence:{0}:" + rest

    def redis_record(self, subject):
        return self.redis.hash(self.key("subject:" + topic_of(subject)[len("presence/"):]))

    def redis_agrees(self):
        for topic, payload in self.observer.last().items():
            record = json.loads(payload)
            stored = self.redis.hash(self.key("subject:" + topic[len("presence/"):]))
            for key in RECORD_KEYS:
                # Redis mints revs of its own when it is filled again, last_seen moves silently.
                if key not in ("rev", "last_seen") and stored.get(key) != text_of(record, key):
                    return f"{topic}: {key} is {stored.get(key)!r}, published {record}"
            if int(stored["rev"]) < record["rev"]:
                return f"{topic}: rev is {stored['rev']}, published {record}"
            role, name = topic.split("/")[-2:]
            member = self.redis("ZSCORE", self.key("online:" + role), name)
            if (member is not None) != (record["status"] != "offline"):
                return f"{topic}: {record['status']}, and in the zset: {member}"
        return ""

    def state_file_agrees(self):
        """The broker holds it locked, so a copy is read; a copy made amid a write is no good."""
        for suffix in ("", "-wal"):
            original = Path(f"{self.state_file}{suffix}")
            if original.exists():
                shutil.copy(original, self.folder / f"copy{suffix}")
        try:
            with closing(sqlite3.connect(self.folder / "copy")) as copy:
                rows = copy.execute("SELECT role, id, status, since, rev FROM subjects").fetchall()
        except sqlite3.Error:
            return False
        stored = {topic_of(f"{role}/{name}"): rest for role, name, *rest in rows}
        return all(stored.get(topic) == [record[key] for key in ("status", "since", "rev")]
                   for topic, record in ((topic, json.loads(payload))
                                         for topic, payload in self.observer.last().items()))

    def retained_agrees(self):
        expected, found = self.observer.last(), self.retained()
        wrong = [topic for topic in expected.keys() | found.keys()
                 if expected.get(topic) != found.get(topic)]
        return "".join(f"{topic}: seen {expected.get(topic)}, retained {found.get(topic)}\n"
                       for topic in wrong[:5])

    def revs_rise(self):
        """One counter per broker; what was retained before we came is in no order."""
        revs = [one.record["rev"] for one in self.observer.since(0)
                if one.record and not one.retain]
        assert all(a < b for a, b in zip(revs, revs[1:])), revs

    def wait_agreement(self, seconds=PATIENCE):
        """What was seen is what is retained and what Redis holds."""
        self.revs_rise()
        poll(lambda: not self.retained_agrees(), seconds, self.retained_agrees)
        if self.redis and self.redis.alive():
            poll(lambda: not self.redis_agrees(), seconds, self.redis_agrees)

    def close_clients(self):
        """At the end of a story; the observers see the next one too."""
        for client in self.clients:
            client.close()
        self.clients = []

    def drop_clients(self):
        for observer in self.observers:
            observer.close()
        self.observers = []
        self.close_clients()

    def close(self):
        self.drop_clients()
        try:
            self.broker.stop()
        finally:
            if self.redis:
                self.redis.kill()
        assert not self.broker.reports(), self.broker.reports()
        lines = [line for line in self.broker.log().splitlines() if SECRET in line]
        assert not lines, lines


