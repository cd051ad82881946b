# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A crowd that does things while something breaks, and the books of it: what the crowd did, what
the plugin counted, what stands in Redis' stream, and what everybody finds in the end."""
import itertools
import json
import time

from control import ask
from mqtt import Client, Closed
from servers import poll
from world import topic_of

PATIENCE = 60
OPTIONS = {"grace": "0", "node_lease": "1s", "control_open": "true", "command_rate":
           "10000/s burst 10000", "redis_stream_maxlen": "1000000"}
SAID = ["away", "dnd", "online"]


def without_repeats(statuses):
    return [status for status, _ in itertools.groupby(statuses)]


def is_within(part, whole):
    """In this order, though not all of it."""
    rest = iter(whole)
    return all(one in rest for one in part)


class Crowd:
    """One device each. Whoever is connected is the only one who speaks for its subject, and each
    act is a transition: what was done is what must have been published, in that order."""

    def __init__(self, world, chance, size=20, name="c", port=None):
        self.world, self.chance, self.port = world, chance, port or world.broker.port
        self.ids = [world.name(name) for _ in range(size)]
        self.clients = {}
        self.did = {one: [] for one in self.ids}
        self.acts = 0

    def subject(self, one):
        return f"device/{one}"

    def act(self, one, status):
        self.did[one].append(status)
        self.acts += 1

    def connect(self, one):
        self.clients[one] = Client(self.port, f"device:{one}:d")
        self.clients[one].ping()  # 2.0 takes a turn of its loop to let somebody in
        self.act(one, "online")

    def declare(self, one):
        status = self.chance.choice([word for word in SAID if word != self.did[one][-1]])
        self.clients[one].publish(topic_of(self.subject(one)), status)
        self.act(one, status)

    def leave(self, one):
        client = self.clients.pop(one)
        client.ping()  # what it said before it goes is heard
        client.disconnect() if self.chance.random() < 0.5 else client.rst()
        self.act(one, "offline")
        self.world.observer.wait(self.subject(one), "offline", self.world.fault_mark)

    def step(self):
        one = self.chance.choice(self.ids)
        if one not in self.clients:
            self.connect(one)
        elif self.chance.random() < 0.1:
            self.world.fault_mark = self.world.observer.mark()
            self.leave(one)
        else:
            self.declare(one)

    def run(self, steps):
        for _ in range(steps):
            self.step()
        for client in self.clients.values():
            client.ping()

    def close(self):
        for client in self.clients.values():
            client.close()

    def expected(self):
        return {self.subject(one): did[-1] for one, did in self.did.items() if did}


class Books:
    """Opened before the fault, balanced after it."""

    def __init__(self, world, crowd):
        self.world, self.crowd = world, crowd
        self.admin = Client(world.broker.port, "admin:books:d", version=5, keepalive=0)
        self.before = self.stats()
        self.healed_at = None

    def stats(self):
        return ask(self.admin, "getStats")

    def heal(self):
        self.healed_at = time.monotonic()

    def wrong(self):
        """Subjects whose final state is not what their clients did, in MQTT or in Redis."""
        retained, found = self.world.retained("presence/device/#"), []
        for subject, status in self.crowd.expected().items():
            record = json.loads(retained.get(topic_of(subject), b"{}"))
            if record.get("status", "offline") != status:
                found.append(f"{subject} is {status}, retained {record}")
            if self.world.redis and self.world.redis_record(subject).get("status") != status:
                found.append(f"{subject} is {status}, Redis {self.world.redis_record(subject)}")
        return found

    def stream(self):
        """subject -> the statuses in the stream, and how often a chain of revs breaks."""
        said, breaks, last = {}, 0, {}
        for _, fields in self.world.redis("XRANGE", self.world.key("events"), "-", "+"):
            entry = dict(zip(fields[::2], fields[1::2]))
            if entry["t"] != "set":
                continue
            subject = f"{entry['role']}/{entry['id']}"
            said.setdefault(subject, []).append(entry["status"])
            breaks += entry["prev_rev"] not in ("0", last.get(subject, entry["prev_rev"]))
            last[subject] = entry["rev"]
        return said, breaks

    def balance(self, kept=True, published=True):
        """Waits for the final states, then compares the books; kept: the stream was not lost
        with Redis. Returns the line of figures."""
        start = self.healed_at or time.monotonic()
        poll(lambda: not self.wrong(), PATIENCE,
             lambda: "final states: " + "\n".join(self.wrong()[:5]))
        took = time.monotonic() - start
        stats = self.stats()
        merged = int(stats["merged"]) - int(self.before["merged"])
        transitions = int(stats["transitions"]) - int(self.before["transitions"])
        if published:
            self._check_published()
            assert transitions == self.crowd.acts, \
                f"{self.crowd.acts} acts, {transitions} transitions"
        line = (f"acts {self.crowd.acts}, transitions {transitions}, wrong final states 0")
        if self.world.redis:
            line += self._check_stream(merged, kept)
        return (f"{line}, converged in {took:.1f} s, slowest callback "
                f"{int(stats['callback_max_us']) / 1000:.1f} ms")

    def _check_published(self):
        for one, did in self.crowd.did.items():
            seen = [record.status for record in
                    self.world.observer.since(0, self.crowd.subject(one)) if record.record]
            assert without_repeats(seen) == did, f"{one} did {did}, seen {seen}"

    def _check_stream(self, merged, kept):
        said, breaks = self.stream()
        missing = written = 0
        for one, did in self.crowd.did.items():
            found = without_repeats(said.get(self.crowd.subject(one), []))
            assert is_within(found, did), f"{one} did {did}, in the stream {found}"
            assert not did or not kept or found[-1:] == did[-1:], f"{one} {did}, {found}"
            written += len(found)
            missing += len(did) - len(found)
        if kept:
            assert breaks == 0, f"{breaks} breaks in the stream"
            # Where one gave way, the next may say what Redis had already: that writes nothing.
            assert missing <= 2 * merged, f"{missing} not in the stream, {merged} merged"
        lost = "0" if kept else "with Redis"
        return f", in the stream {written}, merged {merged}, lost {lost}"

    def close(self):
        self.admin.close()
