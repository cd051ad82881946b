# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Options that change what is seen, on brokers of their own."""
from test_sessions import take_over_all_ways
from world import topic_of


def test_takeovers_without_grace(make_world):
    world = make_world(options={"grace": "0"})
    take_over_all_ways(world, False, False)
    take_over_all_ways(world, True, False)


def test_a_loss_without_grace_shows_at_once(make_world):
    world = make_world(options={"grace": "0"})
    for end in ("disconnect", "fin", "rst"):
        subject, client = world.agent()
        getattr(client, end)()
        world.observer.wait(subject, "offline")


def test_subjects_max(make_world):
    """The one offline longest makes room; only when all are online is the newcomer not tracked."""
    world = make_world(store="redis", options={"subjects_max": 2})
    stayer, _ = world.agent()
    leaver, client = world.agent()
    client.disconnect()
    world.observer.wait(leaver, "offline")
    newcomer, _ = world.agent()
    world.observer.wait_for(lambda one: one.topic == topic_of(leaver) and not one.payload,
                            "the leaver forgotten")
    world.wait_agreement()
    late = world.connect("agent:late:d")
    late.ping()
    world.broker.wait_log("presence: .*agent:late:d.*subjects_max")
    assert not world.observer.since(0, "agent/late")
    for subject in (stayer, newcomer):
        world.never_offline(subject, 0)


def test_devices_max(make_world):
    world = make_world(options={"devices_max": 2})
    subject, _ = world.agent("one")
    name = subject.split("/")[1]
    for device in ("two", "three"):
        world.connect(f"agent:{name}:{device}")
    world.broker.wait_log(f"presence: .*agent:{name}:three.*devices_max")
    world.fence()
    assert [one.record["devices"] for one in world.observer.since(0, subject)] == [1, 2]


def test_roles_and_patterns_by_option(make_world):
    world = make_world(options={"identity": ["clientid {role}-{id}@{device}", "clientid {role}~{id}"],
                                "roles": "*", "ignore_prefixes": "presencectl- test-"})
    world.online("tram~7", "tram/7")
    world.online("bus-8@door-1@x", "bus/8", version=5)
    world.online("agent:u1:d", "client/agent:u1:d")
    mark = world.observer.mark()
    world.connect("test-1").ping()
    world.online("tram~8", "tram/8")
    assert len(world.observer.since(mark)) == 1


def test_a_new_subscriber_gets_all_records(make_world):
    """With any QoS, whatever max_queued_messages is: records are published with QoS 0."""
    world = make_world(head="max_queued_messages 5\nmax_inflight_messages 5")
    for _ in range(60):
        world.agent()[1].disconnect()
    world.wait_grace_over()
    for qos in (0, 1, 2):
        reader = world.connect(world.name("presencectl-reader"), version=5)
        reader.subscribe("presence/#", qos)
        reader.ping()
        found = [one for one in reader.inbox if one.topic.startswith("presence/agent/")]
        assert len(found) == 61 and {one.qos for one in found} == {0}
