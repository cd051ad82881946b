# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What people and devices declare: heartbeats, being away, two devices that disagree, typing,
overrides; and somebody invisible, who is as good as gone."""
import json
import re
import signal
import time

import pytest

from control import ADMIN, TOPIC, ask, ask_all, make_control_world, receive, refused
from mqtt import Refused
from servers import poll
from world import topic_of

AWAY_AFTER_S = 1.5


@pytest.fixture(scope="module")
def declared(bench, tmp_path_factory):
    world = make_control_world(bench, tmp_path_factory.mktemp("declared"), {
        "device_topics": "true", "heartbeat_misses": "2", "heartbeat_interval": "1s"})
    yield world
    world.close()


@pytest.fixture
def world(declared):
    yield declared
    declared.close_clients()


def device_topic(subject, device):
    return f"{topic_of(subject)}/devices/{device}"


def wait_topic(observer, topic, mark=0, seconds=8, **fields):
    return observer.wait_for(
        lambda one: one.topic == topic and one.record
        and all(one.record.get(key) == value for key, value in fields.items()),
        f"{topic} {fields}", seconds, mark)


def devices_of(world, base, version, count=2):
    """A new subject, and a client for each of its devices."""
    name = world.name(base)
    clients = []
    for number in range(count):
        clients.append(world.connect(f"agent:{name}:d{number}", version=version))
        world.observer.wait(f"agent/{name}", "online", devices=number + 1)
    return f"agent/{name}", clients


# Heartbeats

@pytest.mark.parametrize("interval", [None, 1, 1.5])
def test_a_frozen_app_behind_a_live_socket_goes_offline(world, version, interval):
    subject, client = world.agent(version=version)
    fields = {} if interval is None else {"interval": interval}
    mark = world.observer.mark()
    beaten = time.monotonic()
    ask(client, "heartbeat", **fields)
    gone = world.observer.wait(subject, "offline", mark, reason="heartbeat")
    took = gone.at - beaten
    assert 2 * (interval or 1) - 0.1 <= took < 2 * (interval or 1) + 1.5, took
    assert took < 5
    client.ping()  # the connection is as good as ever
    mark = world.observer.mark()
    ask(client, "heartbeat", **fields)
    world.observer.wait(subject, "online", mark, reason="heartbeat", devices=1)


def test_who_beats_in_time_stays_and_publishes_nothing(world, version):
    subject, client = world.agent(version=version)
    ask(client, "heartbeat", interval=1)
    mark = world.observer.mark()
    until = time.monotonic() + 4
    while time.monotonic() < until:
        ask(client, "heartbeat", interval=1)
    world.fence()
    assert not world.observer.since(mark, subject)


def test_one_who_never_beats_owes_none(world, version):
    subject, client = world.agent(version=version)
    other, beating = world.agent(version=version)
    mark = world.observer.mark()
    ask(beating, "heartbeat", interval=1)
    world.observer.wait(other, "offline", mark, reason="heartbeat")
    world.never_offline(subject, mark)


def test_a_beat_may_say_how_one_is(world, version):
    subject, client = world.agent(version=version)
    ask(client, "heartbeat", interval=1, status="dnd", note="in a call")
    world.observer.wait(subject, "dnd", reason="app", source="app", note="in a call")
    world.observer.wait(subject, "offline", reason="heartbeat")
    mark = world.observer.mark()
    ask(client, "heartbeat", interval=30, status="away")
    back = world.observer.wait(subject, "away", mark, previous="offline")
    assert "note" not in back.record
    assert world.observer.since(mark, subject) == [back], "at once what it says"


# Being away

def test_who_does_nothing_is_away_until_he_does(make_control, version):
    world = make_control({"away_after": f"{AWAY_AFTER_S}s", "heartbeat_interval": "30s"})
    idle, client = world.agent(version=version)
    beating, heart = world.agent(version=version)
    busy, worker = world.agent(version=version)
    plain, publisher = world.agent(version=version)
    said, declarer = world.agent(version=version)
    ask(declarer, "setStatus", status="online")

    def gone_idle():
        ask(heart, "heartbeat")  # alive, but no activity
        ask(worker, "getPresence", subjects=[])
        return any(one.status == "away" for one in world.observer.since(0, idle)) and any(
            one.status == "away" for one in world.observer.since(0, beating))
    poll(gone_idle, AWAY_AFTER_S + 4, "away")
    world.observer.wait(plain, "away", reason="idle", source="inferred")
    assert [one.status for one in world.observer.since(0, busy)] == ["online"]
    assert [one.status for one in world.observer.since(0, said)][-1] == "online"
    mark = world.observer.mark()
    publisher.publish("some/topic", "x")
    world.observer.wait(plain, "online", mark, previous="away", reason="app")
    ask(client, "getPresence", subjects=[])
    world.observer.wait(idle, "online", mark, previous="away", reason="app")
    ask(heart, "heartbeat")
    world.fence()
    assert world.observer.since(0, beating)[-1].status == "away"


# Two devices

def test_two_devices_disagree(world, version):
    subject, (one, two) = devices_of(world, "pair", version)
    steps = [  # who says what, and what the subject is then
        (one, "setStatus", {"status": "away", "note": "tea"}, ("online", "inferred", None, 2)),
        (two, "setStatus", {"status": "away", "note": "bus"}, ("away", "app", "bus", 2)),
        (one, "setStatus", {"status": "dnd", "note": "call"}, ("dnd", "app", "call", 2)),
        (two, "setStatus", {"status": "online"}, ("dnd", "app", "call", 2)),
        (two, "setStatus", {"status": "dnd", "note": "both"}, ("dnd", "app", "both", 2)),
        (two, "setStatus", {"status": "offline"}, ("dnd", "app", "call", 1)),
        (one, "clearStatus", {}, ("online", "inferred", None, 1)),
        (one, "leave", {}, ("offline", "inferred", None, 0)),
        (two, "heartbeat", {"interval": 60}, ("online", "inferred", None, 1)),
        (one, "setStatus", {"status": "away"}, ("online", "inferred", None, 2)),
        (two, "leave", {}, ("away", "app", None, 1)),
    ]
    for client, command, fields, expected in steps:
        ask(client, command, **fields)
        record = ask(client, "getPresence", subjects=[subject])["subjects"][0]
        found = (record["status"], record["source"], record.get("note"), record["devices"])
        assert found == expected, (command, fields, record)
    world.fence()
    last = json.loads(world.observer.last()[topic_of(subject)])
    assert (last["status"], last["devices"]) == ("away", 1)


def test_what_was_declared_survives_a_short_absence_and_no_longer(world, version):
    subject, client = world.agent(version=version)
    mark = world.observer.mark()
    ask(client, "setStatus", status="dnd", note="n")
    world.observer.wait(subject, "dnd", mark)
    mark = world.observer.mark()
    client.rst()
    client = world.connect(client.client_id, version=version)
    client.ping()
    world.wait_grace_over()
    assert not world.observer.since(mark, subject), "back in time: no transition"
    client.rst()
    world.observer.wait(subject, "offline", mark)
    client = world.connect(client.client_id, version=version)
    back = world.observer.wait(subject, "online", mark, source="inferred")
    assert "note" not in back.record


def test_leaving_reads_as_such_on_every_broker(world, version):
    subject, client = world.agent(version=version)
    mark = world.observer.mark()
    ask(client, "leave")
    world.observer.wait(subject, "offline", mark, reason="leave", devices=0)
    mark = world.observer.mark()
    client.disconnect()
    world.wait_grace_over()
    assert not world.observer.since(mark, subject)


# Topics of devices

def test_each_device_has_a_topic_of_its_own(world, version):
    subject, (one, two) = devices_of(world, "dev", version)
    for number in (0, 1):
        seen = wait_topic(world.observer, device_topic(subject, f"d{number}"), status="online")
        assert list(seen.record) == ["v", "device", "status", "reason", "since"]
        assert seen.record == {"v": 1, "device": f"d{number}", "status": "online",
                               "reason": "connect", "since": seen.record["since"]}
        assert seen.properties["content_type"] == b"application/json"
    ask(one, "setStatus", status="dnd", note="notes stay out of it")
    wait_topic(world.observer, device_topic(subject, "d0"), status="dnd", reason="app")
    mark = world.observer.mark()
    two.rst()
    seen = wait_topic(world.observer, device_topic(subject, "d1"), mark, status="offline",
                      reason=world.reason("lost"))
    lost = world.observer.wait(subject, "dnd", mark, devices=1)
    assert seen.at < lost.at, "raw: without grace"
    assert seen.properties["message_expiry"] == 7 * 24 * 3600
    retained = world.retained(topic_of(subject) + "/#")
    assert json.loads(retained[device_topic(subject, "d0")])["status"] == "dnd"
    assert json.loads(retained[device_topic(subject, "d1")])["status"] == "offline"


def test_without_the_option_there_are_none(make_control):
    world = make_control()
    subject, client = world.agent()
    ask(client, "setStatus", status="dnd")
    world.observer.wait(subject, "dnd")
    assert list(world.retained()) == [topic_of(subject)]


# Typing

@pytest.fixture
def typing(world):
    """All that is published of who types."""
    return world.observe("typing/#")


def typing_topic(subject, conversation):
    return topic_of(subject, "typing/" + conversation)


def test_typing_is_shown_once_and_ends_when_it_stops(world, typing, version):
    subject, client = world.agent(version=version)
    role, name = subject.split("/")
    asked = time.monotonic()
    for _ in range(20):
        ask(client, "typing", conversation="c/1", active=True)
    topic = typing_topic(subject, "c%2F1")
    begins = wait_topic(typing, topic)
    assert begins.payload.decode() == (
        '{"v":1,"conversation":"c/1","role":"%s","id":"%s","kind":"typing","active":true}'
        % (role, name))
    assert not begins.retain and topic not in world.retained("typing/#")
    ask(client, "typing", conversation="c/1", active=False)
    ends = wait_topic(typing, topic, active=False)
    assert 2.9 < ends.at - asked < 4.9, "at most once in 3 s, and sooner than by itself"
    world.fence()
    assert len(typing.since(0)) == 2


@pytest.mark.parametrize("end", ["time", "rst", "leave"])
def test_typing_ends_by_itself(world, typing, version, end):
    subject, client = world.agent(version=version)
    asked = time.monotonic()
    ask(client, "typing", conversation="c1", kind="recording", active=True)
    topic = typing_topic(subject, "c1")
    wait_topic(typing, topic, kind="recording", active=True)
    if end == "leave":
        ask(client, "leave")
    elif end == "rst":
        client.rst()
    ends = wait_topic(typing, topic, active=False, kind="recording")
    took = ends.at - asked
    assert took > 4.9 if end == "time" else 2.9 < took < 4.9, took


def test_typing_in_too_many_conversations_is_refused(world, version):
    _, client = world.agent(version=version)
    answers = ask_all(client, *[{"command": "typing", "conversation": f"c{number}", "active": True}
                                for number in range(33)])
    assert ["data" in one for one in answers] == [True] * 32 + [False]
    assert answers[-1]["error"].startswith("typing in too many conversations at once")


# Overrides

def test_an_override_holds_until_its_time_is_over(world, version):
    subject, client = world.agent(version=version)
    ask(client, "setStatus", status="dnd", note="mine")
    mark = world.observer.mark()
    before = time.time()
    ask(client, "setOverride", status="away", note="lunch", ttl=1.5)
    set_ = world.observer.wait(subject, "away", mark, reason="override", source="manual",
                               note="lunch")
    assert before + 1.4 < set_.record["until"] / 1000 < time.time() + 1.6
    ask(client, "setStatus", status="online")
    over = world.observer.wait(subject, "online", mark, reason="override_expired", source="app")
    assert 1.3 < over.at - set_.at < 3
    assert "until" not in over.record and "note" not in over.record
    assert [one.status for one in world.observer.since(mark, subject)] == ["away", "online"]


def test_an_override_outlives_connections_and_makes_nobody_online(world, version):
    subject, client = world.agent(version=version)
    role, name = subject.split("/")
    admin = world.connect(world.name("presencectl-"), **ADMIN)
    ask(admin, "setOverride", status="dnd", note="meeting", role=role, id=name)
    world.observer.wait(subject, "dnd", source="manual")
    mark = world.observer.mark()
    client.disconnect()
    gone = world.observer.wait(subject, "offline", mark)
    assert gone.record["source"] == "inferred" and "note" not in gone.record
    mark = world.observer.mark()
    ask(admin, "setOverride", status="away", role=role, id=name)
    world.fence()
    assert not world.observer.since(mark, subject), "offline, nothing shows"
    world.connect(client.client_id, version=version)
    world.observer.wait(subject, "away", mark, source="manual", previous="offline")
    ask(admin, "clearOverride", role=role, id=name)
    world.observer.wait(subject, "online", mark, reason="override", source="inferred")


def test_an_override_of_somebody_never_seen_waits_for_him(world, version):
    name = world.name("later")
    admin = world.connect(world.name("presencectl-"), **ADMIN)
    ask(admin, "setOverride", status="dnd", role="agent", id=name)
    assert ask(admin, "getPresence", subjects=[f"agent/{name}"])["subjects"][0]["rev"] == 0
    world.connect(f"agent:{name}:d", version=version)
    world.observer.wait(f"agent/{name}", "dnd", source="manual")


# Restarts

@pytest.mark.parametrize("store", ["state_file", "redis"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_said_outlives_the_broker(make_control, store, number):
    world = make_control({"restart_grace": "2s", "node_lease": "1s", "redis_ttl": "9s"}
                         if store == "redis" else {"restart_grace": "2s"}, store=store)
    said = {"manual": {"status": "dnd", "note": "meeting"}, "short": {"status": "away", "ttl": 1},
            "hidden": {"status": "invisible", "ttl": 600}}
    clients = {}
    for name, fields in said.items():
        clients[name], _ = world.online(f"agent:{name}:d", f"agent/{name}")
        ask(clients[name], "setOverride", **fields)
    clients["app"], _ = world.online("agent:app:d", "agent/app")
    ask(clients["app"], "setStatus", status="away", note="bus")
    clients["cleared"], _ = world.online("agent:cleared:d", "agent/cleared")
    ask(clients["cleared"], "setOverride", status="dnd")
    ask(clients["cleared"], "clearOverride")
    world.observer.wait("agent/cleared", "online", reason="override")
    world.observer.wait("agent/hidden", "offline")
    admin = world.connect("presencectl-admin", **ADMIN)
    poll(lambda: ask(admin, "getStats")["queue"] == 0, 10, "all is stored")
    time_over = time.monotonic() + 1.2
    world.restart(number)
    poll(lambda: time.monotonic() > time_over, 5, "the short one is over")
    again = {name: world.connect(client.client_id) for name, client in clients.items()
             if client is not admin}
    world.observer.wait("agent/manual", "dnd", source="manual", note="meeting")
    world.observer.wait("agent/short", "online", source="inferred")
    world.observer.wait("agent/cleared", "online", source="inferred")
    world.observer.wait("agent/app", "away", source="app", note="bus")
    hidden = ask(again["hidden"], "getPresence", subjects=["agent/hidden"])["subjects"][0]
    assert hidden["status"] == "offline"
    assert not [one for one in world.observer.since(0, "agent/hidden") if one.status == "online"]
    mark = world.observer.mark()
    ask(again["hidden"], "clearOverride")
    world.observer.wait("agent/hidden", "online", mark)


def test_typing_is_in_redis_while_it_lasts(make_control):
    world = make_control(store="redis")
    subject, client = world.agent()
    key = world.key("typing:c1")
    ask(client, "typing", conversation="c1", active=True)
    poll(lambda: world.redis("ZSCORE", key, subject), 5, "in Redis")
    assert time.time() < float(world.redis("ZSCORE", key, subject)) / 1000 < time.time() + 5
    ask(client, "typing", conversation="c1", active=False)
    poll(lambda: not world.redis("ZSCORE", key, subject), 6, "no more in Redis")


# Invisible

class Twin:
    """One of two who do the same, until one turns invisible and the other goes. All that can be
    known of them, with their names and times taken out."""

    def __init__(self, world, watch, admin, base, version):
        self.world, self.watch, self.admin, self.version = world, watch, admin, version
        self.name = world.name(base)
        self.subject = f"agent/{self.name}"
        self.clients = []

    def connect(self, number):
        client = self.world.connect(f"agent:{self.name}:d{number}", version=self.version)
        self.clients.append(client)
        return client

    def clean(self, text):
        text = text.replace(self.name, "NAME")
        return re.sub(r'"(since|last_seen|rev)": ?\d+', r'"\1":0', text)

    def seen(self, mark):
        return [(self.clean(one.topic), self.clean(one.payload.decode()), one.retain)
                for one in self.watch.since(mark) if self.name in one.topic]

    def asked(self):
        """Replies of all that can be asked about it."""
        one = ask(self.admin, "getPresence", subjects=[self.subject])
        many = ask(self.admin, "listPresence", count=1000)
        many = [record for record in many["subjects"] if record["id"] == self.name]
        return [self.clean(json.dumps(what)) for what in (one, many)]


COUNTS = ["subjects", "sessions", "transitions", "forgotten", "online/agent", "digest/agent"]


def counts(admin):
    stats = ask(admin, "getStats")
    keys = COUNTS + [key for key in stats if key.startswith("refused/")]
    values = {key: stats.get(key, 0) for key in keys}  # nobody of a role: no such number
    return {key: value["count"] if isinstance(value, dict) else value
            for key, value in values.items()}


def difference(after, before):
    return {key: after[key] - before[key] for key in after}


def settle(twin):
    """All that is to be published of it has been: record, device, the end of typing. Returns by how
    much the second came later than the first."""
    record = twin.watch.wait(twin.subject, "offline")
    device = wait_topic(twin.watch, device_topic(twin.subject, "d1"), status="offline")
    wait_topic(twin.watch, typing_topic(twin.subject, "c1"), active=False)
    return device.at - record.at


@pytest.fixture
def twins(make_control, version):
    world = make_control({"device_topics": "true", "offline_retain_for": "6s"})
    admin = world.connect("presencectl-admin", version=version, **ADMIN)
    watch = world.observe("#")
    found = [Twin(world, watch, admin, base, version) for base in ("hidden", "gone")]
    for twin in found:
        twin.connect(0)
        world.observer.wait(twin.subject, "online", devices=1)
        ask(twin.connect(1), "typing", conversation="c1", active=True)
        world.observer.wait(twin.subject, "online", devices=2)
    return found


def go(twin, world):
    """Says goodbye, on a broker that does not tell by saying so first."""
    for client in twin.clients:
        if not world.mosquitto.knows_why:
            ask(client, "leave")
        client.disconnect()


def test_who_is_invisible_is_as_good_as_gone(twins):
    hidden, gone = twins
    world, admin = hidden.world, hidden.admin
    # Each with one device from here on, so that going is one step for both.
    for twin in twins:
        mark = twin.watch.mark()
        twin.clients.pop(0).disconnect()
        twin.watch.wait(twin.subject, "online", mark, devices=1)
        wait_topic(twin.watch, device_topic(twin.subject, "d0"), status="offline")
    mark = hidden.watch.mark()
    start = counts(admin)
    ask(hidden.clients[0], "setOverride", status="invisible", note="hush", ttl=600)
    gaps = [settle(hidden)]
    middle = counts(admin)
    go(gone, world)
    gaps.append(settle(gone))
    end = counts(admin)
    assert abs(gaps[0] - gaps[1]) < 0.05, "by its timing it cannot be told either"
    assert difference(middle, start) == difference(end, middle)
    assert hidden.seen(mark) == gone.seen(mark) != []
    assert hidden.asked() == gone.asked()
    # Whatever it does now, nothing shows.
    mark = hidden.watch.mark()
    still = counts(admin)
    client = hidden.clients[0]
    ask(client, "heartbeat", interval=1)
    ask(client, "setStatus", status="dnd", note="nobody knows")
    ask(client, "typing", conversation="c1", active=True)
    ask(client, "getPresence", subjects=[hidden.subject])
    client.publish("some/topic", "x")
    client.ping()
    hidden.connect(2).rst()
    world.fence()
    world.wait_grace_over()
    assert hidden.seen(mark) == []
    assert hidden.asked() == gone.asked()
    for key in ("sessions", "online/agent", "transitions"):
        # Two more agents came and went.
        assert difference(counts(admin), still)[key] == {"transitions": 4}.get(key, 0), key


def test_who_is_invisible_on_several_devices_is_as_good_as_gone(twins):
    """Records, topics of devices and counts go down one by one, the one that decides last; and
    whatever a device does right behind that, its topic is offline."""
    hidden, gone = twins
    world, admin = hidden.world, hidden.admin
    for twin in twins:
        for number in range(2, 5):
            twin.connect(number)
            world.observer.wait(twin.subject, "online", devices=number + 1)
        ask(twin.clients[1], "setStatus", status="dnd", note="call")
        twin.watch.wait(twin.subject, "dnd", devices=5, note="call")
    mark, start = hidden.watch.mark(), counts(admin)
    # In one go with the end of some of them: what they show does not depend on what comes later.
    hidden.clients[1].publish(TOPIC, json.dumps({"commands": [
        {"command": "setOverride", "status": "invisible"},
        {"command": "getPresence", "subjects": [hidden.subject]}]}))
    for number in (0, 4):
        hidden.clients[number].rst()
    answer = json.loads(receive(hidden.clients[1]).payload)["responses"][1]["data"]
    assert answer["subjects"][0]["status"] == "offline", "at once"
    hidden.watch.wait(hidden.subject, "offline", mark)
    world.wait_grace_over()
    middle = counts(admin)
    mark_of_gone = hidden.watch.mark()
    last = gone.clients.pop(1)
    for client in [*reversed(gone.clients), last]:
        if not world.mosquitto.knows_why:
            ask(client, "leave")
        client.disconnect()
        world.fence()
    gone.watch.wait(gone.subject, "offline", mark_of_gone)
    world.wait_grace_over()
    seen = [[one for one in found if not one[0].startswith("typing/")]
            for found in (hidden.seen(mark), gone.seen(mark_of_gone))]
    assert seen[0] == seen[1] and len(seen[0]) == 10
    assert hidden.asked() == gone.asked()
    retained = world.retained()
    assert {topic for topic in retained if hidden.name in topic} == {
        topic.replace(gone.name, hidden.name) for topic in retained if gone.name in topic}
    found, expected = difference(middle, start), difference(counts(admin), middle)
    for key in ("sessions", "forgotten"):
        assert found[key] == expected[key], key
    # Coming back, each of its devices is as it was.
    mark = world.observer.mark()
    ask(hidden.clients[1], "clearOverride")
    world.observer.wait(hidden.subject, "dnd", mark, devices=3, note="call")


@pytest.mark.parametrize("store", ["state_file", "redis"])
def test_who_is_invisible_is_not_seen_when_the_broker_comes_back(make_control, store):
    """He connects before anybody else does, while the store has yet to say what was said of him."""
    world = make_control(store=store)
    client, _ = world.online("agent:hidden:d", "agent/hidden")
    for number in (2, 3):
        world.connect(f"agent:hidden:d{number}")
        world.observer.wait("agent/hidden", "online", devices=number)
    ask(client, "setOverride", status="invisible")
    world.observer.wait("agent/hidden", "offline")
    world.wait_agreement()
    admin = world.connect("presencectl-admin", **ADMIN)
    poll(lambda: ask(admin, "getStats")["queue"] == 0, 10, "all is stored")
    for _ in range(3):
        world.broker.stop()
        world.drop_clients()
        lines = world.broker.log().count("Loading plugin")
        if store == "redis":
            world.redis.pause()
        world.broker.start(wait=False)
        poll(lambda: world.broker.log().count("Loading plugin") > lines, 10, "a start")
        if store == "redis":
            world.redis.resume()
        client = poll(lambda: connect_if(world, "agent:hidden:d"), 10, "the broker is back")
        hidden = ask(client, "getPresence", subjects=["agent/hidden"])["subjects"][0]
        world.observer = world.observe()
        world.fence()
        assert hidden["status"] == "offline"
        assert not [one for one in world.observer.since(0, "agent/hidden")
                    if one.status == "online"]
        record = json.loads(world.retained()["presence/agent/hidden"])
        assert (record["previous"], record["since"]) == ("online", hidden["since"])


def connect_if(world, client_id):
    try:
        return world.connect(client_id)
    except (OSError, Refused):
        return None


def test_who_is_invisible_is_forgotten_like_who_is_gone(twins):
    hidden, gone = twins
    world, admin = hidden.world, hidden.admin
    mark = hidden.watch.mark()
    ask(hidden.clients[0], "setOverride", status="invisible")
    go(gone, world)
    for twin in twins:
        twin.watch.wait_for(lambda one, twin=twin: one.topic == topic_of(twin.subject)
                            and not one.payload, "an empty record", 12, mark)
    assert hidden.asked() == gone.asked()
    stats = counts(admin)
    retained = world.retained("presence/agent/#")
    assert stats["online/agent"] == 0
    records = [topic for topic in retained if "/devices/" not in topic]
    assert stats["subjects"] == len(records) + len(world.retained("presence/client/+"))
    # Coming back reads like a connect.
    mark = world.observer.mark()
    ask(hidden.clients[0], "clearOverride")
    world.observer.wait(hidden.subject, "online", mark, reason="connect", previous="offline")


def test_steering_tells_no_admin_who_is_invisible(twins):
    hidden, gone = twins
    world, admin = hidden.world, hidden.admin
    ask(hidden.clients[0], "setOverride", status="invisible")
    go(gone, world)
    for twin in twins:
        world.observer.wait(twin.subject, "offline")
    world.wait_grace_over()
    kicks = [refused(admin, "kick", clientid=f"agent:{twin.name}:d1") for twin in twins]
    assert kicks[0] == kicks[1]
    hidden.clients[1].wait_closed()  # kicked it was, all the same
    for command, fields in (("forget", {}), ("forget", {}), ("setOverride", {"status": "dnd"}),
                            ("clearOverride", {}), ("clearOverride", {})):
        answers = [ask_all(admin, {"command": command, "role": "agent", "id": twin.name,
                                   **fields})[0] for twin in twins]
        if command == "setOverride":
            # That makes visible who is there: it is no more a secret then.
            assert all("data" in one for one in answers)
            continue
        assert answers[0] == answers[1], command


def test_what_is_said_of_a_client_leaves_its_record_short_lived(make_control):
    world = make_control()
    admin = world.connect("control:panel", **ADMIN)
    name = world.name("thing")
    ask(admin, "setOverride", role="client", id=name, status="dnd")
    mark = world.observer.mark()
    world.connect(name).disconnect()
    gone = world.observer.wait(f"client/{name}", "offline", mark)
    assert gone.properties["message_expiry"] <= 600
