# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Who a client is: patterns, client ids nobody planned for, and hostile ones."""
import json

import pytest

from mqtt import Refused
from servers import passwords, poll
from world import topic_of


STORES = ["redis"]


def test_client_ids_without_a_pattern_are_clients(world):
    for name in ["sensor-7", "00:1b:63:84:45:e6", "robot:r2:d2", "no colon at all"]:
        client, seen = world.online(name, f"client/{name}")
        assert (seen.record["role"], seen.record["id"]) == ("client", name)
        client.disconnect()


@pytest.mark.parametrize("prefix", ["auto-", "mosq-", "mqttjs_", "presencectl-"])
def test_ids_made_up_by_libraries_are_ignored(world, prefix):
    mark = world.observer.mark()
    name = world.name(prefix)
    world.connect(name).disconnect()
    world.fence()
    assert not [one for one in world.observer.since(mark) if prefix in one.topic]


@pytest.mark.parametrize("name", ["a/b+#", "$SYS", "{0}", "100%", "%2F", "žluťoučký kůň", "日本",
                                  'quote"back\\slash', "../../etc", "' OR 1=1", "\U0001f600",
                                  "x" * 123, "ž" * 61])
def test_strange_ids_are_encoded_in_topics_and_raw_in_payloads(world, name):
    client, seen = world.online(f"user:{name}", f"user/{name}")
    assert seen.record["id"] == name
    client.disconnect()
    gone = world.observer.wait(f"user/{name}", "offline", reason=world.reason("disconnect"))
    assert gone.record["id"] == name


def test_an_id_in_a_pattern_with_a_device_may_be_strange_too(world):
    client, seen = world.online("user:a/b+#$%{}:dev/1", "user/a/b+#$%{}")
    assert seen.topic == "presence/user/a%2Fb%2B%23%24%25%7B%7D"
    assert seen.record["id"] == "a/b+#$%{}"
    client.disconnect()
    world.observer.wait("user/a/b+#$%{}", "offline")


HOSTILE = [b"user:a\nb", b"user:\x01", b"user:\x7f", b"user:\xc2\x85", b"user:\xff",
           b"user:\xef\xbf\xbe", b"user:\xed\xa0\x80", b"user:\xc0\xaf"]


@pytest.mark.parametrize("version", [4, 5])
def test_ids_that_are_no_text_are_seen_by_nobody(world, version):
    """These the broker itself turns away; should one come through, nobody may see it."""
    mark = world.observer.mark()
    for client_id in HOSTILE:
        try:
            world.connect(client_id, version=version).disconnect()
        except Refused:
            pass
    world.fence()
    roles = {one.topic.split("/")[1] for one in world.observer.since(mark)}
    assert roles == {"agent"}


def test_ids_too_long_are_let_in_and_not_tracked(world):
    mark = world.observer.mark()
    for client_id in ["user:" + "x" * 129, "y" * 129, "user:" + "ž" * 65, "z" * 20000]:
        client = world.connect(client_id)
        client.publish("news", "still a client")
        client.ping()
        client.disconnect()
    world.fence()
    roles = {one.topic.split("/")[1] for one in world.observer.since(mark)}
    assert roles == {"agent"}


def test_a_client_that_sends_no_id_works(world):
    client = world.connect("")
    client.ping()
    client.disconnect()


def test_usernames_can_be_who_a_client_is(make_world):
    world = make_world(options={"identity": ["username {role}.{id}"], "auth_mode": "allow",
                                "unmatched": "ignore"})
    mark = world.observer.mark()
    _, seen = world.online("anything", "agent/kim", username="agent.kim")
    assert seen.record["devices"] == 1
    world.connect("something", username="agent.kim")
    world.observer.wait("agent/kim", "online", mark, devices=2)
    world.connect("nobody")  # unmatched, ignored
    _, seen = world.online("else", "agent/lee", username="agent.lee")
    assert {one.topic for one in world.observer.since(mark)} == {
        topic_of("agent/kim"), topic_of("agent/lee")}


def test_a_client_id_taken_by_another_subject_ends_the_first(make_world):
    world = make_world(options={"identity": ["username {role}.{id}"], "auth_mode": "allow"})
    world.online("shared", "agent/kim", username="agent.kim")
    mark = world.observer.mark()
    world.connect("shared", username="agent.lee")
    world.observer.wait("agent/lee", "online", mark)
    world.observer.wait("agent/kim", "offline", mark)
    witness, _ = world.online("w", "agent/witness", username="agent.witness")
    witness.rst()
    world.observer.wait("agent/witness", "offline", mark)
    world.never_offline("agent/lee", mark)


@pytest.fixture
def password_file(tmp_path):
    return passwords(tmp_path / "passwords", "kim", "right")


@pytest.mark.parametrize("version", [4, 5])
def test_a_failed_login_with_somebodys_client_id_is_nothing(make_world, password_file, version):
    world = make_world(tail=f"password_file {password_file}\n")
    subject, client = world.agent(version=version, username="kim", password="right")
    mark = world.observer.mark()
    for password in ["wrong", "", None]:
        with pytest.raises(Refused):
            world.connect(client.client_id, version=version, username="kim", password=password)
    with pytest.raises(Refused):
        world.connect(client.client_id, version=version, username="nobody", password="x")
    # A name nobody has, and the same for one who was never there.
    with pytest.raises(Refused):
        world.connect("agent:ghost:d", version=version, username="kim", password="wrong")
    world.wait_grace_over()
    assert not world.observer.since(mark, subject)
    assert not world.observer.since(0, "agent/ghost")
    client.ping()
    client.disconnect()
    world.observer.wait(subject, "offline", mark)


def test_a_failed_login_while_somebody_lingers_does_not_bring_them_back(make_world, password_file):
    world = make_world(tail=f"password_file {password_file}\n")
    subject, client = world.agent(username="kim", password="right")
    mark = world.observer.mark()
    client.rst()
    with pytest.raises(Refused):
        world.connect(client.client_id, username="kim", password="wrong")
    world.observer.wait(subject, "offline", mark)


def test_numbers_in_sys_make_sense(make_world):
    """The broker's part of $SYS says what happened."""
    world = make_world(store="redis", options={"subjects_max": 1000})
    world.agent()
    subject, leaver = world.agent()
    world.connect("user:" + "x" * 129)
    world.connect("sensor")
    mark = world.observer.mark()
    leaver.disconnect()
    world.observer.wait(subject, "offline", mark)
    numbers = poll(lambda: (lambda stats: stats if stats.get("transitions") == "4" else None)(
        world.stats()), 25, lambda: f"4 transitions in {world.stats()}")
    assert numbers["subjects"] == "3"
    assert numbers["sessions"] == "2"
    assert numbers["online/agent"] == "1"
    assert numbers["online/client"] == "1"
    assert numbers["queue"] == "0"
    assert sum(int(value) for key, value in numbers.items() if key.startswith("refused/")) == 1
    assert numbers["redis/state"] == "ready"
    assert json.loads(numbers["digest/agent"]) == digest(world.observer.last(), "agent")
    assert json.loads(numbers["digest/client"]) == digest(world.observer.last(), "client")


def digest(records, role):
    """As docs/PROTOCOL.md has a reader compute it."""
    together, revs = 0, []
    for topic, payload in records.items():
        if topic.startswith(f"presence/{role}/"):
            revs.append(json.loads(payload)["rev"])
            value = 0xcbf29ce484222325
            for byte in f"{topic}{revs[-1]}".encode():
                value = (value ^ byte) * 0x100000001b3 % 2**64
            together ^= value
    return {"count": len(revs), "xor": f"{together:016x}", "rev": max(revs)}
