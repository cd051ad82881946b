# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Nobody but the plugin writes presence/# and typing/#."""
import json

import pytest

from world import topic_of

STORES = ["none"]
NOT_AUTHORIZED = 0x87
WRITES = [b"garbage", b"", json.dumps({"v": 1, "role": "agent", "id": "x", "status": "online"})]


@pytest.mark.parametrize("ws", [False, True])
@pytest.mark.parametrize("version", [4, 5])
def test_writes_of_clients_are_refused_and_seen_by_nobody(world, version, ws):
    victim, _ = world.agent()
    _, writer = world.agent(version=version, ws=ws)
    mark, retained = world.observer.mark(), world.retained()
    all_seen = world.observe("#")
    targets = [topic_of(victim), "presence/agent/nobody", "presence/x/y/z", "presence"]
    for topic in targets:
        for payload in WRITES:
            code = writer.publish(topic, payload, qos=1, retain=True)
            assert code == (NOT_AUTHORIZED if version == 5 else 0), topic
            writer.publish(topic, payload, retain=True)
    assert writer.publish("typing/room/agent/x", "typing", qos=1) == (
        NOT_AUTHORIZED if version == 5 else 0)
    writer.ping()
    writer.publish("news", "the connection is as good as ever", qos=1)
    all_seen.wait_for(lambda one: one.topic == "news", "the news")
    # Agents of earlier stories may still come to their end meanwhile.
    seen = {one.topic for one in all_seen.since(0) if not one.retain}
    assert not seen & {*targets, "typing/room/agent/x"}, seen
    assert not world.observer.since(mark, victim)
    after = world.retained()
    assert after.get(topic_of(victim)) == retained.get(topic_of(victim))
    assert not set(after) & set(targets[1:])


def test_topics_that_only_look_alike_are_free(world):
    _, writer = world.agent()
    reader = world.observe("presences/#", "a/presence/#", "Presence/#", "typings/#")
    topics = ["presences/agent/x", "a/presence/agent/x", "Presence/x", "typings/x"]
    for topic in topics:
        assert writer.publish(topic, "x", qos=1) == 0
    for topic in topics:
        reader.wait_for(lambda one, topic=topic: one.topic == topic, topic)


def test_who_publishes_stays_online(world):
    subject, writer = world.agent()
    mark = world.observer.mark()
    for _ in range(50):
        writer.publish(topic_of(subject), b"x", qos=1)
    writer.ping()
    world.fence()
    world.never_offline(subject, mark)


def test_a_refusal_is_warned_about_once_a_minute(make_world):
    world = make_world()
    _, writer = world.agent()
    for _ in range(20):
        writer.publish("presence/agent/victim", b"x", qos=1)
    writer.ping()
    line = world.broker.wait_log("(?m)^.*presence/agent/victim.*$").group()
    assert writer.client_id in line
    assert world.broker.log().count("presence/agent/victim") == 1


def test_other_topics_by_option(make_world):
    world = make_world(options={"topic": "who/is/there"})
    mine = world.observe("who/#")
    subject_client = world.connect("agent:kim:d")
    mine.wait_for(lambda one: one.topic == "who/is/there/agent/kim", "kim's record")
    writer = world.connect("agent:lee:d", version=5)
    assert writer.publish("who/is/there/agent/kim", b"x", qos=1) == NOT_AUTHORIZED
    assert writer.publish("presence/agent/kim", b"x", qos=1) in (0, 16)
    subject_client.disconnect()
    mine.wait_for(lambda one: one.status == "offline", "kim's end")


def test_bare_words_by_option(make_world):
    world = make_world(options={"payload_format": "text"})
    client = world.connect("agent:kim:d")
    world.observer.wait_for(lambda one: one.payload == b"online", "online")
    client.disconnect()
    world.observer.wait_for(lambda one: one.payload == b"offline", "offline")
    assert world.retained() == {"presence/agent/kim": b"offline"}
