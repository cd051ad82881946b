# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""No memory, no room on the disk, no descriptors. Whatever could not be done is done when it can
be; nobody is refused a connection by presence."""
import json
import os
import re
import resource
import subprocess
import time
from contextlib import contextmanager

import pytest

from control import TOPIC
from ledger import OPTIONS, Books, Crowd
from mqtt import Closed, Refused
from preloaded import Preloaded
from servers import poll
from world import topic_of

NEVER = (0, 0)
STARTS_MAX = 120  # the worker of Redis never ceases to ask


class Memory(Preloaded):
    """What failing_malloc.c obeys."""

    def __init__(self, folder):
        super().__init__(folder, "failing_malloc", "PRESENCE_MALLOC", 4)

    def reset(self):
        self.write(0, 0, 0, 0, 0)

    def refuse(self, first, last):
        self.write(1, first, last + 1 if last else 0)

    def refuse_next(self, number):
        self.next, self.before = self.asked + number, self.refused
        self.refuse(self.next, self.next)

    def was_asked(self, seconds=0.3):
        """Has it asked for as much as that, soon? The worker asks in its own time."""
        deadline = time.monotonic() + seconds
        while self.asked < self.next and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.asked >= self.next

    @property
    def asked(self):
        return self.number(0)

    @property
    def refused(self):
        return self.number(3)


@pytest.fixture
def memory(bench, tmp_path):
    if bench.sanitizers:
        pytest.skip("sanitizers bring a malloc of their own")
    return Memory(tmp_path)


def starved(make_world, memory, store):
    world = make_world(store=store, start=False, options={
        **OPTIONS, "device_topics": "true", "roles": "*"})
    memory.preload(world)
    return world


def digest_of(records):
    """By the rule of every client library: the exclusive or of FNV-1a 64 over topic and rev."""
    found = 0
    for topic, payload in records.items():
        one = 0xcbf29ce484222325
        for byte in (topic + str(json.loads(payload)["rev"])).encode():
            one = (one ^ byte) * 0x100000001b3 & 0xffffffffffffffff
        found ^= one
    return {"count": len(records), "xor": f"{found:016x}"}


def disagreement(world, books, role):
    """Between the digest, or a topic of a device, and what is retained of its subject, who has no
    other; None: there is none."""
    retained = world.retained(f"presence/{role}/#")
    records = {topic: payload for topic, payload in retained.items() if topic.count("/") == 2}
    told = books.stats().get(f"digest/{role}", digest_of({}))  # who has nobody has none
    if digest_of(records) != {key: told.get(key) for key in ("count", "xor")}:
        return f"{told} of {digest_of(records)}"
    for topic in retained.keys() - records.keys():
        shown = json.loads(retained[topic])["status"]
        record = json.loads(records.get(topic.split("/devices/")[0], b"{}"))
        if shown != record.get("status", "offline"):
            return f"{topic} shows {shown}, its subject {record}"
    return None


@pytest.mark.parametrize("store", ["state_file", pytest.param("redis", marks=pytest.mark.short)])
def test_each_allocation_fails_once(make_world, memory, chance, figures, store):
    """While people come, say something and go, the first thing that the plugin asks for is refused,
    then the second and so on, until there were no more to refuse."""
    world = starved(make_world, memory, store).start()
    crowd = Crowd(world, chance)
    books = Books(world, crowd)
    crowd.run(30)
    admin = world.connect("admin:starving:d", version=5)
    before, number, missed = memory.refused, 1, 0
    for _ in range(600):
        if missed == 3 or number == 200:  # each role makes getStats longer
            break
        name = world.name("starved")
        role = f"role-{name}"  # nobody has had it before
        memory.refuse_next(number)
        try:
            client = world.connect(f"{role}:{name}:d", will=(f"presence/{role}/{name}", "x", 0, 1))
            client.publish(f"presence/{role}/{name}", "away")
            client.ping()
            world.connect(f"{role}:{name}:d").rst()
            others = [world.connect(f"{role}:{name}{i}:d") for i in range(2)]
            for other in others:
                other.ping()
            whom = {"role": role, "id": name}
            admin.publish(TOPIC, json.dumps({"commands": [
                {"command": "setOverride", "status": "dnd", "note": "n", **whom},
                {"command": "getPresence", "subjects": [f"{role}/{name}"]},
                {"command": "clearOverride", **whom}, {"command": "listPresence"},
                {"command": "typing", "conversation": "c"}, {"command": "forget", **whom},
                {"command": "setStatus", "status": "away"}, {"command": "getStats"}]}))
            admin.ping()
            world.clients.clear()
        except (Closed, Refused) as why:
            raise AssertionError(f"allocation {number}: the broker refused somebody") from why
        if not memory.was_asked():
            missed += 1
        elif memory.refused > memory.before:
            poll(lambda: not disagreement(world, books, role), 20,
                 lambda: f"allocation {number}: {disagreement(world, books, role)}")
            for other in others:
                other.close()
            number, missed = number + 1, 0
        # Else it was asked for before the order was there: the same again.
    memory.refuse(*NEVER)
    crowd.run(30)
    world.fence()
    figures("B9: " + books.balance(published=False) +
            f", refused {memory.refused - before} allocations")
    assert memory.refused - before > 10
    assert int(books.stats()["refused/memory"]) > 0


def come_and_go(world):
    """Presence works. The same one each time, connected in the end: what a start finds of an earlier
    run is the same for each, and so is what it asks for."""
    one = ("agent:starting:d", "agent/starting")
    client = world.connect(one[0])
    client.ping()
    mark = world.observer.mark()
    client.disconnect()
    world.observer.wait(one[1], "offline", mark)
    world.online(*one)


@pytest.mark.parametrize("store", ["none", "state_file", "redis"])
def test_a_start_without_memory(make_world, memory, figures, store):
    """At its start each allocation in turn is refused: the broker does not start, and says why; or
    it does, and presence works."""
    world = starved(make_world, memory, store).start()
    come_and_go(world)
    started = said = number = 0
    refused = True
    while refused and number < STARTS_MAX:
        world.broker.stop()
        world.drop_clients()
        number += 1
        memory.reset()
        memory.refuse(number, number)
        before = len(world.broker.log())
        world.broker.start(wait=False)
        poll(lambda: re.search(r"version \S+ running", world.broker.log()[before:])
             or not world.broker.alive(), 40,
             "the broker runs, or has ended")
        refused = memory.refused
        memory.refuse(*NEVER)
        if world.broker.alive():
            world.observer = world.observe()
            come_and_go(world)
            started += 1
        else:
            assert world.broker.process.returncode > 0, f"allocation {number} ends in a crash"
            assert "presence" in world.broker.log()[before:], f"allocation {number}: no line"
            said += 1
    figures(f"B9: {said} of {said + started} starts ended with a line, the others were sound")
    assert said
    assert store == "redis" or not refused, "each start asks for more than the one before"


@pytest.mark.parametrize("store", ["state_file", "redis"])
def test_no_memory_at_all_for_a_while(make_world, memory, chance, figures, store):
    world = starved(make_world, memory, store).start()
    crowd = Crowd(world, chance)
    books = Books(world, crowd)
    crowd.run(50)
    others = [world.connect(f"device:{world.name('poor')}:d") for _ in range(5)]
    for client in others:
        client.ping()
    memory.refuse(memory.asked + 1, 1 << 62)
    for one in list(crowd.clients):
        crowd.declare(one)
    for client in others:
        client.ping()
        client.rst()
    world.connect(f"device:{world.name('late')}:d").ping()
    assert memory.refused
    memory.refuse(*NEVER)
    books.heal()
    for one in crowd.clients:  # what was said without memory may not have been heard
        crowd.declare(one)
        crowd.declare(one)
    crowd.run(50)
    figures("B9: " + books.balance(kept=False, published=False) +
            f", refused {memory.refused} allocations")
    assert int(books.stats()["refused/memory"]) > 0
    for client in others:
        subject = client.client_id.rsplit(":", 1)[0].replace(":", "/")
        poll(lambda: b'"status":"offline"' in world.retained().get(topic_of(subject), b""), 20,
             lambda: f"{subject}: {world.retained().get(topic_of(subject))}")


@contextmanager
def small_disk(folder, size="1m"):
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "presence", folder],
                             capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system of its own: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """Until nothing more fits."""
    path = folder / "others"
    with open(path, "ab", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return path


@pytest.mark.short
def test_a_full_disk(make_world, chance, figures, tmp_path):
    """The state file cannot be written; it is when there is room again."""
    with small_disk(tmp_path / "disk") as disk:
        world = make_world(options={**OPTIONS, "state_file": disk / "state.db"})
        world.state_file = disk / "state.db"
        crowd = Crowd(world, chance)
        books = Books(world, crowd)
        crowd.run(50)
        poll(world.state_file_agrees, 20, "all of it in the state file")
        others = fill(disk)
        crowd.run(300)
        world.broker.wait_log("presence: .*state.db")
        crowd.run(100)
        lines = [line for line in world.broker.log().splitlines() if "state.db" in line]
        assert len(lines) < 5, lines
        os.truncate(others, 0)
        books.heal()
        crowd.run(10)
        figures("B11: " + books.balance())
        poll(world.state_file_agrees, 40, "all of it in the state file")
        world.close()


def test_no_descriptor_left(make_world, chance, figures):
    """Redis goes away while the broker can open nothing; it is found when it can again."""
    world = make_world(store="redis", options=OPTIONS)
    crowd = Crowd(world, chance, size=5)
    books = Books(world, crowd)
    for one in crowd.ids:
        crowd.connect(one)
    poll(lambda: not books.wrong(), 20, "a sound beginning")
    pid = world.broker.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    world.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    for _ in range(20):
        crowd.declare(chance.choice(crowd.ids))
    world.broker.wait_log("presence: .*not reachable")
    poll(lambda: books.stats()["redis/state"] == "connecting", 20, "Redis is missed")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    books.heal()
    crowd.run(20)
    figures("B10: " + books.balance())
