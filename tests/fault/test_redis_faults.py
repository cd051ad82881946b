# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Something breaks between the plugin and Redis, or in Redis, while a crowd is busy. Presence over
MQTT knows nothing of it; when it is over, Redis has the truth, and the books balance."""
import time
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from ledger import OPTIONS, Books, Crowd
from proxy import DOWN, UP, Proxy
from servers import poll


@dataclass
class Fault:
    name: str
    row: str               # of the table of rows in README.md
    strike: object         # (story) -> context manager; heals when it ends
    log: str = ""          # what an operator reads, at least
    kept: bool = True      # what Redis held is there afterwards
    short: bool = False    # told in the default run


class Story:
    def __init__(self, world, proxy, chance):
        self.world, self.redis, self.proxy, self.chance = world, world.redis, proxy, chance
        self.crowd = Crowd(world, chance)

    def busy(self, seconds):
        """The crowd goes on; with this the fault lasts that long at least."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.crowd.run(10)


FAULTS = []


def fault(row, **how):
    def add(strike):
        FAULTS.append(Fault(strike.__name__, row, contextmanager(strike), **how))
        return strike
    return add


# Redis itself

@fault("C2", log="not reachable", kept=False)
def killed_and_back_empty(story):
    story.redis.kill()
    story.busy(2)
    yield
    story.redis.start()


@fault("C4", kept=False)
def flushed(story):
    story.redis("FLUSHALL")
    story.busy(1)
    yield


@fault("C5 F10", log="does not answer", short=True)
def stopped(story):
    story.redis.pause()
    story.busy(6)
    yield
    story.redis.resume()


@fault("C7")
def paused(story):
    story.redis("CLIENT", "PAUSE", 4000, "WRITE")
    story.busy(5)
    yield


@fault("C7", log="runs a script that does not end|does not answer")
def busy_with_a_script(story):
    story.redis("CONFIG", "SET", "busy-reply-threshold", 100)
    # Nobody reads the answer: it is killed.
    story.redis.socket.sendall(b"*3\r\n$4\r\nEVAL\r\n$14\r\nwhile 1 do end\r\n$1\r\n0\r\n")
    story.busy(4)
    yield
    story.redis._drop()
    story.redis("SCRIPT", "KILL")
    poll(story.redis._try, 20, "Redis is itself again")


@fault("C8 F11", log="out of memory; raise maxmemory", short=True)
def out_of_memory(story):
    story.redis("CONFIG", "SET", "maxmemory", "100kb")
    story.busy(3)
    yield
    story.redis("CONFIG", "SET", "maxmemory", "0")


@fault("C9", log="noeviction", kept=False)
def evicting(story):
    """All that is ours goes, as fast as Redis can; refreshes bring back who is online."""
    story.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-random", "maxmemory", "1200kb")
    story.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # looks at the policy again
    story.busy(2)
    yield
    story.redis("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "0")


@fault("C10", log="read-only replica")
def demoted(story):
    story.redis("REPLICAOF", "127.0.0.1", "1")
    story.busy(3)
    yield
    story.redis("REPLICAOF", "NO", "ONE")


@fault("C12", log="too few replicas")
def too_few_replicas(story):
    story.redis("CONFIG", "SET", "min-replicas-to-write", "1")
    story.busy(3)
    yield
    story.redis("CONFIG", "SET", "min-replicas-to-write", "0")


@fault("C14", log="wants a password")
def password_changed(story):
    story.redis("CONFIG", "SET", "requirepass", "s3cr3t-w0rd")
    story.redis("AUTH", "s3cr3t-w0rd")
    story.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    story.busy(3)
    yield
    story.redis("CONFIG", "SET", "requirepass", "")


@fault("C14", log="does not let its user", short=True)
def rights_taken(story):
    story.redis("ACL", "SETUSER", "default", "-xadd")
    story.busy(3)
    yield
    story.redis("ACL", "SETUSER", "default", "+@all")


@fault("C15", log="key that presence needs|is not presence's", kept=False)
def wrong_types(story):
    """Everything that all subjects share is somebody else's."""
    keys = [story.world.key(rest) for rest in ("events", "online:device", "nodes", "meta")]
    for key in keys:
        story.redis("DEL", key)
        story.redis("SET", key, "theirs")
    story.busy(3)
    assert [story.redis("GET", key) for key in keys] == ["theirs"] * 4, "somebody else's was lost"
    yield
    story.redis("DEL", *keys)


@fault("C16")
def scripts_flushed(story):
    for _ in range(5):
        story.redis("SCRIPT", "FLUSH")
        story.crowd.run(20)
    yield


# The network between them

@fault("C6", short=True)
def slow(story):
    story.proxy.delay, story.proxy.jitter, story.proxy.rate = 0.2, 0.1, 10000
    story.busy(5)
    yield
    story.proxy.heal()


def silent(story, ways):
    story.proxy.silent = ways
    story.busy(5)
    yield
    story.proxy.heal()


@fault("C18", log="does not answer")
def replies_lost(story):
    yield from silent(story, {DOWN})


@fault("C18", log="does not answer")
def commands_lost(story):
    yield from silent(story, {UP})


@fault("C18", log="does not answer")
def both_lost(story):
    yield from silent(story, {UP, DOWN})


@fault("C2 F10", short=True)
def reset_again_and_again(story):
    for _ in range(20):
        story.crowd.run(15)
        story.proxy.reset()
    yield


@fault("C18")
def half_closed(story):
    for direction in (UP, DOWN, UP, DOWN):
        story.crowd.run(20)
        story.proxy.half_close(direction)
        story.busy(1)
    yield


@fault("C17")
def answers_garbled(story):
    """Bits turn in what Redis answers. TCP does not let that through often; when it does, what
    was acknowledged may not have been."""
    story.proxy.flips[DOWN] = 0.2
    story.busy(6)
    assert story.proxy.flipped
    yield
    story.proxy.heal()
    story.proxy.reset()


@pytest.mark.parametrize("fault", [pytest.param(one, id=one.name,
                                                marks=[pytest.mark.short] if one.short else [])
                                   for one in FAULTS])
def test_redis(make_world, chance, figures, fault):
    world = make_world(store="redis", start=False, options={**OPTIONS, "redis_ttl": "9s"})
    proxy = Proxy(world.redis.path, chance.random())
    world.broker.conf_path.write_text(
        world.broker.conf_path.read_text().replace(world.redis.url, proxy.url))
    world.start()
    try:
        story = Story(world, proxy, chance)
        books = Books(world, story.crowd)
        story.crowd.run(100)
        poll(lambda: not books.wrong(), 20, "a sound beginning")
        with fault.strike(story):
            story.crowd.run(50)
            if fault.log:
                world.broker.wait_log("presence: .*(" + fault.log + ")")
        books.heal()
        story.crowd.run(50)
        line = books.balance(kept=fault.kept)
        lines = [line for line in world.broker.log().splitlines() if "presence: " in line]
        figures(f"{fault.row}: {line}, log lines {len(lines)}")
        assert len(lines) < 30, "\n".join(lines)
    finally:
        proxy.close()
