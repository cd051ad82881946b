# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Whatever goes wrong is told: in numbers, in one line of the log, and by presencectl doctor, with
what to do."""
import json
import subprocess
import time

import pytest

from ledger import OPTIONS, Books, Crowd
from proxy import UP, Proxy
from servers import SECRET, poll


def doctor(presencectl, world):
    if not presencectl:
        pytest.skip("no presencectl in this build")
    found = subprocess.run([presencectl, "-p", str(world.broker.port), "doctor", "--json"],
                           capture_output=True, text=True, timeout=120, check=False)
    checks = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
    return {one["check"]: one for one in checks}


def says(presencectl, world, check, result, words):
    """$SYS is published every ten seconds; until then the doctor cannot know."""
    seen = {}

    def said():
        seen.update(doctor(presencectl, world))
        one = seen.get(check, {})
        return one.get("result") == result and words in one["text"] + one.get("fix", "")
    poll(said, 60, lambda: f"{check} {result} «{words}»; it says {seen}")


def password(redis):
    redis("CONFIG", "SET", "requirepass", SECRET)
    redis("AUTH", SECRET)
    redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


REDIS = [
    ("killed", lambda redis: redis.kill(), "running", "not reachable"),
    ("stopped", lambda redis: redis.pause(), "reachable", "does not answer"),
    ("password", password, "password", "wants a password"),
    ("rights", lambda redis: redis("ACL", "SETUSER", "default", "-xadd"), "rights",
     "does not let its user"),
    ("memory", lambda redis: redis("CONFIG", "SET", "maxmemory", "100kb"), "maxmemory",
     "out of memory"),
    ("replica", lambda redis: redis("REPLICAOF", "127.0.0.1", "1"), "primary",
     "read-only replica"),
]


@pytest.mark.parametrize("name,strike,fix,line", [
    pytest.param(*one, id=one[0], marks=[pytest.mark.short] if one[0] == "memory" else [])
    for one in REDIS])
def test_the_doctor_knows_what_redis_has(make_world, presencectl, name, strike, fix, line):
    world = make_world(store="redis", options=OPTIONS)
    poll(lambda: world.stats().get("redis/state") == "ready", 40, "Redis is ready")
    strike(world.redis)
    world.agent()
    world.broker.wait_log("presence: .*" + line)
    says(presencectl, world, "redis", "fail", fix)
    lines = [one for one in world.broker.log().splitlines() if "presence: Redis" in one]
    assert len(lines) < 8, "\n".join(lines)
    world.redis.resume()


def test_a_full_queue_is_told(make_world, presencectl, chance, figures):
    """E1: three times as much as has room, while Redis stands still. Older changes give way, the
    newest stay, and it is said once."""
    world = make_world(store="redis", options={**OPTIONS, "queue_max": "1000"})
    crowd = Crowd(world, chance)
    books = Books(world, crowd)
    crowd.run(20)
    world.redis.pause()
    while crowd.acts < 4000:
        crowd.run(20)
    world.broker.wait_log("presence: .*queue_max: older ones give way")
    assert world.broker.log().count("older ones give way") == 1
    says(presencectl, world, "queue", "warn", "gave way")
    world.redis.resume()
    books.heal()
    crowd.run(20)
    figures("E1: " + books.balance())
    stats = books.stats()
    assert int(stats["merged"]) > 500


def test_a_stall_is_told(make_world, presencectl):
    world = make_world()
    world.agent()
    world.broker.pause()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        time.sleep(0.1)  # while the broker stands still there is nothing to wait for
    world.broker.resume()
    world.fence()
    world.broker.wait_log("presence: the broker stood still, 1 times")
    says(presencectl, world, "stalls", "warn", "stood still")


def test_what_a_shutdown_cannot_write_is_told(make_world):
    world = make_world(store="redis", options=OPTIONS)
    world.agent()
    world.wait_agreement()
    world.redis.pause()
    world.agent()
    world.broker.stop()
    world.broker.wait_log("presence: not all that changed last was written")
    world.redis.resume()


def test_a_shutdown_that_writes_all_says_nothing(make_world):
    world = make_world(store="redis", options=OPTIONS)
    world.agent()
    world.wait_agreement()
    world.broker.stop()
    assert "not all that changed" not in world.broker.log()


def test_two_brokers_with_one_name(make_world, presencectl):
    one = make_world(store="redis", options=OPTIONS)
    mine, _ = one.agent()
    one.wait_agreement()
    two = make_world(options={**OPTIONS, "redis_url": one.redis.url})
    theirs, _ = two.agent()
    one.broker.wait_log("presence: .*CRITICAL")
    says(presencectl, one, "redis", "fail", "plugin_opt_node")
    for _ in range(20):
        one.agent()
        two.agent()
    poll(lambda: one.redis_record(theirs).get("status") == "online", 20, "theirs in Redis")
    two.broker.stop()
    # The name is free again when the lease lapses: the first takes it, and says what it has.
    poll(lambda: one.redis_record(mine).get("status") == "online", 60, "mine in Redis")
    assert one.broker.log().count("CRITICAL") <= 3


def test_who_is_not_tracked_is_told(make_world, presencectl):
    world = make_world(options={"subjects_max": "2"})
    for _ in range(4):
        world.connect(f"device:{world.name('many')}:d")
    world.broker.wait_log("presence: .*subjects_max")
    says(presencectl, world, "room", "warn", "raise subjects_max")
