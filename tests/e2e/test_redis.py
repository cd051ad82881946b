# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Redis holds what is published; whatever happens to Redis, presence over MQTT goes on."""
import time

import pytest

from servers import SECRET, Redis, poll

PROMPT = 2  # seconds in which a transition shows, whatever Redis does


@pytest.fixture
def world(make_world):
    return make_world(store="redis", options={"node_lease": "1s"})


@pytest.fixture
def brief(make_world):
    """Keys live so shortly that a story can see them being refreshed."""
    return make_world(store="redis", options={"node_lease": "1s", "redis_ttl": "3s"})


def shown_promptly(world):
    """A whole life of somebody new."""
    start = time.monotonic()
    subject, client = world.agent()
    assert time.monotonic() - start < PROMPT
    mark = world.observer.mark()
    client.disconnect()
    world.observer.wait(subject, "offline", mark)
    return subject


def redis_lines(world):
    return [line for line in world.broker.log().splitlines() if "redis" in line.lower()]


def test_redis_holds_subject_index_stream_lease_and_node(world):
    subject, client = world.agent("laptop")
    world.wait_agreement()
    redis, key, name = world.redis, world.key, subject.split("/")[1]
    stored = world.redis_record(subject)
    assert (stored["role"], stored["id"], stored["status"]) == ("agent", name, "online")
    assert 0 < redis("PTTL", key(f"subject:{subject}")) <= 180000
    assert redis("ZRANGE", key("online:agent"), 0, -1) == [name]
    state = redis.hash(key(f"state:{subject}"))
    assert state["d:b1/laptop"].startswith("1|") and "rev" in state
    assert redis("SMEMBERS", key("node:b1")) == [subject]
    assert list(redis.hash(key("nodes"))) == ["b1"]
    assert 0 < redis("PTTL", key("lease:b1")) <= 1000
    assert redis.hash(key("meta"))["partitions"] == "1"
    assert redis.hash(key("meta"))["format"] == "1"
    mark = world.observer.mark()
    client.disconnect()
    offline = world.observer.wait(subject, "offline", mark).record
    poll(lambda: world.redis_record(subject).get("status") == "offline", 5, "offline in Redis")
    assert redis("ZCARD", key("online:agent")) == 0
    assert redis("PTTL", key(f"subject:{subject}")) > 24 * 3600 * 1000
    entries = [dict(zip(fields[::2], fields[1::2]))
               for _, fields in redis("XRANGE", key("events"), "-", "+")]
    sets = [one for one in entries if one["t"] == "set" and one["id"] == name]
    assert [one["status"] for one in sets] == ["online", "offline"]
    assert sets[1]["prev_rev"] == sets[0]["rev"]
    assert int(sets[1]["rev"]) >= offline["rev"]
    assert [int(one["seq"]) for one in entries if one["t"] == "set"] == [1, 2]


def test_who_stays_online_stays_in_redis(brief):
    """The keys outlive their time to live as long as the broker knows better."""
    subject, _ = brief.agent()
    start = brief.redis("TIME")[0]
    poll(lambda: int(brief.redis("TIME")[0]) - int(start) > 4, 10, "four seconds of Redis's time")
    assert brief.redis_record(subject)["status"] == "online"
    assert brief.redis("EXISTS", brief.key("lease:b1")) == 1


def test_absent_at_the_start_and_there_later(make_world):
    world = make_world(store="redis", start=False)
    world.redis.kill()
    start = time.monotonic()
    world.start()
    assert time.monotonic() - start < 5
    stayer, _ = world.agent()
    shown_promptly(world)
    world.broker.wait_log("(?i)redis")
    world.wait_grace_over()
    assert len(redis_lines(world)) == 1, redis_lines(world)
    world.redis.start()
    world.wait_agreement(15)
    assert world.redis_record(stayer)["status"] == "online"


def test_hung(world):
    stayer, _ = world.agent()
    leaver, client = world.agent()
    world.wait_agreement()
    world.redis.pause()
    mark = world.observer.mark()
    for _ in range(5):
        shown_promptly(world)
    client.disconnect()
    world.observer.wait(leaver, "offline", mark)
    start = time.monotonic()
    while time.monotonic() - start < 2.5:  # longer than the lease
        shown_promptly(world)
    world.redis.resume()
    world.wait_agreement(20)
    world.never_offline(stayer, 0)
    assert len(redis_lines(world)) < 8, redis_lines(world)


def test_killed_and_back_empty(world):
    stayer, _ = world.agent()
    leaver, client = world.agent()
    world.wait_agreement()
    world.redis.kill()
    client.disconnect()
    world.observer.wait(leaver, "offline")
    shown_promptly(world)
    world.redis.start()
    world.wait_agreement(20)
    world.never_offline(stayer, 0)
    assert world.redis("EXISTS", world.key("lease:b1")) == 1


def test_connection_cut(world):
    stayer, _ = world.agent()
    world.wait_agreement()
    for _ in range(3):
        world.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        shown_promptly(world)
        world.wait_agreement(20)
    world.never_offline(stayer, 0)


@pytest.mark.parametrize("quiet", [True, False])
def test_flushed_while_connected(world, quiet):
    stayers = [world.agent()[0] for _ in range(20)]
    world.wait_agreement()
    gen = int(world.redis.hash(world.key("meta"))["gen"])
    world.redis("FLUSHALL")
    if not quiet:
        shown_promptly(world)
    # Noticed at the next renewal of the lease at the latest.
    world.wait_agreement(10)
    assert int(world.redis.hash(world.key("meta"))["gen"]) > gen
    for subject in stayers:
        world.never_offline(subject, 0)


def test_a_single_key_lost(brief):
    """As an eviction would: found when the lives of all keys are extended."""
    subject, _ = brief.agent()
    brief.wait_agreement()
    brief.redis("DEL", brief.key(f"subject:{subject}"))
    brief.wait_agreement(10)


def test_a_key_of_another_type_spoils_nothing_else(world):
    name = world.name("clash")
    world.redis("SET", world.key(f"subject:agent/{name}"), "not ours")
    client, _ = world.online(f"agent:{name}:d", f"agent/{name}")
    other, _ = world.agent()
    poll(lambda: world.redis_record(other).get("status") == "online", 5, "the other in Redis")
    assert world.redis("GET", world.key(f"subject:agent/{name}")) == "not ours"
    world.broker.wait_log(f"agent/{name}")
    client.disconnect()
    world.observer.wait(f"agent/{name}", "offline")


def test_eviction_is_warned_about(make_world):
    world = make_world(store="redis", start=False)
    world.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    world.start()
    world.broker.wait_log("noeviction")


def test_password_from_a_file(make_world, tmp_path):
    world = make_world(store="redis", start=False, options={
        "redis_password_file": tmp_path / "password"})
    (tmp_path / "password").write_text(SECRET + "\n")
    world.redis("CONFIG", "SET", "requirepass", SECRET)
    world.redis("AUTH", SECRET)
    world.start()
    world.agent()
    world.wait_agreement()


def test_over_tcp_with_a_prefix_and_a_database(make_world, tmp_path):
    redis = Redis(tmp_path / "redis").start()
    world = make_world(options={"redis_url": f"redis://127.0.0.1:{redis.port}/3",
                                "redis_prefix": "acme"})
    subject, _ = world.agent()
    redis("SELECT", 3)
    poll(lambda: redis.hash("acme:{0}:subject:" + subject).get("status") == "online", 5,
         "online in Redis")
    world.broker.stop()
    redis.kill()


def test_a_shutdown_with_redis_hung_ends_in_time(world):
    world.agent()
    world.wait_agreement()
    world.redis.pause()
    world.agent()
    assert world.broker.stop() < 3
    world.redis.resume()


def test_a_shutdown_is_said(world):
    subject, _ = world.agent()
    assert world.broker.stop() < 3
    assert "leaving" in world.redis.hash(world.key("nodes"))["b1"]
    assert world.redis_record(subject)["status"] == "online"


def test_a_wrong_password_is_said_and_presence_goes_on(make_world):
    world = make_world(store="redis", start=False)
    world.redis("CONFIG", "SET", "requirepass", SECRET)
    world.start()
    world.broker.wait_log("presence: .*password")
    shown_promptly(world)


def test_two_brokers_share_a_subject(make_world):
    """Each publishes what it sees; Redis puts it together."""
    one = make_world(store="redis", options={"node": "b1"})
    two = make_world(options={"node": "b2", "redis_url": one.redis.url})
    subject, laptop = one.agent("laptop")
    name = subject.split("/")[1]
    two.online(f"agent:{name}:phone", subject)

    def redis_says(**fields):
        record = one.redis_record(subject)
        return all(record.get(key) == value for key, value in fields.items())
    poll(lambda: redis_says(status="online", devices="2"), 5, "two devices in Redis")
    laptop.disconnect()
    one.observer.wait(subject, "offline")
    poll(lambda: redis_says(status="online", devices="1"), 5, "one device in Redis")
    two.never_offline(subject, 0)
    two.clients[0].disconnect()
    two.observer.wait(subject, "offline")
    poll(lambda: redis_says(status="offline", devices="0"), 5, "none in Redis")
    assert sorted(one.redis.hash(one.key("nodes"))) == ["b1", "b2"]


def test_two_brokers_with_one_name(make_world):
    """The one that started last has it; the other says so, and its presence over MQTT goes on."""
    one = make_world(store="redis", options={"node_lease": "1s"})
    mine, _ = one.agent()
    one.wait_agreement()
    two = make_world(options={"redis_url": one.redis.url, "node_lease": "1s"})
    theirs, _ = two.agent()
    line = one.broker.wait_log("presence: .*CRITICAL.*").group()
    assert str(two.broker.process.pid) in line
    shown_promptly(one)
    shown_promptly(two)
    poll(lambda: one.redis_record(theirs).get("status") == "online", 5, "theirs in Redis")
    one.never_offline(mine, 0)
