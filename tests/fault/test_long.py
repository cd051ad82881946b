# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A million transitions, counted, while Redis is killed every 30 seconds and the broker every 60.
For scripts/faults.sh: --minutes is how long they take, unless the machine is slower than that: then
there are fewer."""
import collections
import itertools
import json
import signal
import sys
import threading
import time

import pytest

from control import ask
from e2e_conftest import STILLNESS
from ledger import OPTIONS
from mqtt import PUBLISH, Client, text, varint
from servers import poll
from world import topic_of

SIZE, TRANSITIONS, BATCH, QUEUE = 200, 1000000, 10, 20000
# A piece of the stream, from where the last one ended: how many entries, how many of devices.
COUNT = """
local at, devices = ARGV[1], 0
local entries = redis.call('XRANGE', KEYS[1], '(' .. at, '+', 'COUNT', 5000)
for _, entry in ipairs(entries) do
    local e = {}
    for i = 1, #entry[2], 2 do e[entry[2][i]] = entry[2][i + 1] end
    at = entry[1]
    if e.t == 'set' and e.role == 'device' then devices = devices + 1 end
end
return {at, #entries, devices}
"""


def packet(topic, payload):
    body = text(topic) + payload
    return bytes([PUBLISH << 4]) + varint(len(body)) + body


class Talkers:
    """Persistent connections; each says how it is, over and over: every word is a transition."""
    WORDS = ["away", "dnd"]

    def __init__(self, world):
        self.world, self.clients, self.acts = world, {}, 0
        self.packets = {f"long{number}": {} for number in range(SIZE)}
        for name, packets in self.packets.items():
            for word in self.WORDS + ["online"]:
                packets[word] = packet(topic_of(f"device/{name}"), word.encode())
        self.status = {}

    def connect(self):
        for name, packets in self.packets.items():
            self.clients[name] = Client(self.world.broker.port, f"device:{name}:d")
            self.clients[name].socket.sendall(packets["online"])
            self.status[name] = "online"
        for client in self.clients.values():
            client.ping()

    def talk(self):
        """A batch of words of each, and all of them heard."""
        for name, client in self.clients.items():
            words = [self.WORDS[number % 2] for number in range(BATCH)]
            if self.status[name] == words[0]:
                words.reverse()
            client.socket.sendall(b"".join(self.packets[name][word] for word in words))
            self.status[name] = words[-1]
        for client in self.clients.values():
            client.ping()
        self.acts += SIZE * BATCH

    def close(self):
        for client in self.clients.values():
            client.close()
        self.clients = {}


def wrong_finals(world, talkers):
    retained = world.retained("presence/device/#")
    found = []
    for name, status in talkers.status.items():
        record = json.loads(retained.get(topic_of(f"device/{name}"), b"{}"))
        stored = world.redis_record(f"device/{name}")
        if record.get("status") != status or stored.get("status") != status:
            found.append(f"{name} is {status}: {record} {stored}")
    return found


# How a run of the broker ends; at the end of the story it does not.
KILLED, STOPPED, ALONE, KEPT = "killed", "stopped", "killed while Redis was away", ""


class Books:
    """Of each run of the broker: its own counters, and what the stream has of it."""

    def __init__(self, world):
        self.world, self.at, self.admin = world, "0-0", None
        self.transitions = self.written = self.merged = self.lost = 0
        self.gone, self.oldest_ms = collections.Counter(), collections.Counter()
        self.slowest_us = self.slowest_s = 0

    def stats(self):
        return ask(self.admin, "getStats")

    def count(self):
        """Entries of the stream since it was last asked."""
        count, found = 0, 1
        while found:
            self.at, found, of_devices = self.world.redis(
                "EVAL", COUNT, 1, self.world.key("events"), self.at)
            count += of_devices
        return count

    def wait_room(self):
        """Faster than Redis can follow, changes give way to newer ones; here they are not meant
        to. Twice as many may wait while Redis is away."""
        poll(lambda: int(self.stats()["queue"]) < QUEUE, 120, "Redis follows")

    def wait_converged(self, talkers):
        start = time.monotonic()
        poll(lambda: int(self.stats()["queue"]) == 0, 120, "all is written")
        poll(lambda: not wrong_finals(self.world, talkers), 120,
             lambda: "\n".join(wrong_finals(self.world, talkers)[:5]))
        self.slowest_s = max(self.slowest_s, time.monotonic() - start)

    def open(self, talkers):
        """After a start, when all who came back are where they should be."""
        self.admin = Client(self.world.broker.port, "admin:books:d", version=5, keepalive=0)
        self.wait_converged(talkers)
        self.count()
        self.first = self.stats()

    def wait_read(self):
        """What a broker sent before it was killed, Redis may still be reading."""
        poll(lambda: len(self.world.redis("CLIENT", "LIST").splitlines()) == 1, 20,
             "Redis has read what the broker sent, and we are its only client")

    def close(self, stats, how):
        """stats: the last of this run; nothing was done since. What waited to be written went
        with a broker that was killed, and so did what one that was stopped could not write in two
        seconds: of each device the states before the last, which is said after the next start.
        That is counted by itself, and is never more than waited. Nothing else may be missing."""
        transitions, merged = (int(stats[key]) - int(self.first[key])
                               for key in ("transitions", "merged"))
        if how:
            self.wait_read()
        written = self.count()
        missing = transitions - merged - written
        assert missing >= 0, f"{written} in the stream, of {transitions} and {merged} merged"
        gone = min(missing, int(stats["queue"])) if how else 0
        self.transitions += transitions
        self.merged += merged
        self.written += written
        self.gone[how] += gone
        self.oldest_ms[how] = max(self.oldest_ms[how], int(stats["lag_ms"]))
        self.lost += missing - gone
        self.slowest_us = max(self.slowest_us, int(stats["callback_max_us"]))
        self.admin.close()
        print(self.line(), file=sys.stderr, flush=True)

    def line(self):
        gone = ", ".join(f"waiting in a broker that was {how} {self.gone[how]} (the oldest for "
                         f"{self.oldest_ms[how]} ms)" for how in (KILLED, STOPPED, ALONE))
        return (f"transitions {self.transitions}, in the stream {self.written}, merged "
                f"{self.merged}, lost {self.lost}; {gone}; wrong final states 0, converged in "
                f"{self.slowest_s:.1f} s at most, slowest callback {self.slowest_us / 1000:.1f} ms")


def end_broker(world, talkers, books, how):
    """In the middle of a talk, in each case; Redis, where it is there, could follow until then: what
    is still to be written after it was away is what goes in the other case."""
    poll(lambda: int(books.stats()["queue"]) == 0, 120, "Redis has followed")
    if how == ALONE:
        world.redis.stop(signal.SIGKILL)
    talkers.talk()
    stats = books.stats()
    world.broker.stop(signal.SIGTERM if how == STOPPED else signal.SIGKILL)
    if how == ALONE:
        world.redis.start()
    books.close(stats, how)
    talkers.close()
    world.broker.start()
    talkers.connect()
    books.open(talkers)


def kill_redis(world, talkers):
    """The talk goes on while it is away and while it reads its file again."""
    world.redis.stop(signal.SIGKILL)
    talkers.talk()
    back = threading.Thread(target=world.redis.start)
    back.start()
    talkers.talk()
    back.join()


def test_a_million_transitions(make_world, request, figures):
    minutes = float(request.config.getoption("--minutes"))
    if not minutes:
        pytest.skip("--minutes, or scripts/faults.sh --minutes")
    world = make_world(store="redis", start=False, options={
        **OPTIONS, "redis_stream_maxlen": "4000000"})
    # What Redis has acknowledged outlives it; what it loses otherwise is another story.
    world.redis.lines += ["--appendonly", "yes", "--appendfsync", "everysec"]
    world.redis.stop(signal.SIGKILL)
    world.redis.start()
    world.broker.start()
    start = time.monotonic()
    end, next_redis, next_broker, next_word = start + minutes * 60, start + 30, start + 45, start
    talkers, books = Talkers(world), Books(world)
    talkers.connect()
    books.open(talkers)
    total, ends = collections.Counter(), itertools.cycle([KILLED, STOPPED, ALONE])
    while time.monotonic() < end and talkers.acts < TRANSITIONS:
        books.wait_room()
        time.sleep(max(0, start + talkers.acts * minutes * 60 / TRANSITIONS - time.monotonic()))
        talkers.talk()
        now = time.monotonic()
        if now >= next_redis:
            next_redis += 30
            total["redis"] += 1
            kill_redis(world, talkers)
        elif now >= next_broker:
            next_broker += 60
            total["broker"] += 1
            end_broker(world, talkers, books, next(ends))
        if now >= next_word:
            next_word += 10
            print(f"{now - start:5.0f} s: {talkers.acts} transitions, Redis killed "
                  f"{total['redis']} times, the broker ended {total['broker']}",
                  file=sys.stderr, flush=True)
    talked = time.monotonic() - start
    books.wait_converged(talkers)
    books.close(books.stats(), KEPT)
    talkers.close()
    figures(f"{talkers.acts} acts in {talked:.0f} s; {books.line()}; Redis killed "
            f"{total['redis']} times, the broker ended {total['broker']}; the machine stood "
            f"still for {STILLNESS.since(start):.1f} s at most")
    assert books.transitions == talkers.acts and not books.lost

