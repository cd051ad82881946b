# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Last wills on presence topics: with the guard nobody ever sees one, and it says why somebody is
gone; without it the record stands there again, but for what nobody can know of."""
import json
import signal
from dataclasses import dataclass
from itertools import product

import pytest

from mqtt import DISCONNECT
from servers import poll
from world import topic_of

STORES = ["none"]
WILLS = ["offline", '{"status":"offline","note":"gone"}', "anything at all"]
PERSISTENT = "persistence true\npersistence_location {folder}/\n"


def guards(mosquitto):
    """With and without: what an operator without other access control would set."""
    return ["auto", "off"] if mosquitto.knows_why else ["allow", "auto"]


def guarded(world):
    return world.options["topic_guard"] != ("off" if world.mosquitto.knows_why else "auto")


@pytest.fixture(params=["guard", "no guard"])
def guard(request, mosquitto):
    return guards(mosquitto)[request.param != "guard"]


@pytest.fixture
def world(make_world, guard):
    return make_world(options={"topic_guard": guard})


@dataclass
class Case:
    version: int
    end: str
    retain: bool
    topic: str  # own, somebody else's, nobody's
    birth: bool
    will: str
    ws: bool

    def impossible(self):
        """What no plugin can repair without the guard: a will that comes later than its session's
        end, that stands on another topic, or that nobody announced by writing there. At the end of
        grace a record of its own follows even then; a takeover publishes nothing."""
        return (self.end == "delayed" or self.topic != "own"
                or (self.end == "takeover" and not self.birth))


ENDS = ["rst", "fin", "disconnect", "takeover", "keepalive", "with will", "delayed"]


def cases():
    for version, end, retain, topic, birth in product(
            (4, 5), ENDS, (False, True), ("own", "other", "nobody"), (False, True)):
        if version == 5 or end not in ("with will", "delayed"):
            number = len(end) + retain + birth
            yield Case(version, end, retain, topic, birth, WILLS[number % len(WILLS)],
                       bool(number & 1))


class Story:
    """One client with a will, from its birth to its end."""

    def __init__(self, world, case):
        self.world, self.case = world, case
        self.subject, self.victim = f"agent/{world.name()}", f"agent/{world.name('v')}"
        self.client_id = "agent:%s:d" % self.subject.split("/")[1]
        target = {"own": self.subject, "other": self.victim,
                  "nobody": f"agent/{world.name('n')}"}[case.topic]
        self.target = topic_of(target)
        if case.topic == "other":
            world.connect("agent:%s:d" % self.victim.split("/")[1])
        self.client = self.connect()

    def connect(self):
        case = self.case
        will = (self.target, case.will, 0, case.retain) + ((2,) if case.end == "delayed" else ())
        client = self.world.connect(
            self.client_id, case.ws, version=case.version, will=will,
            keepalive=1 if case.end == "keepalive" else 60)
        if case.birth:
            client.publish(topic_of(self.subject), "online", qos=1)
        return client

    def end(self):
        case, client = self.case, self.client
        if case.end == "takeover":
            self.world.connect(self.client_id, version=case.version)
        elif case.end == "with will":
            client.disconnect(reason=4)
        elif case.end == "delayed":
            client.rst()
        elif case.end != "keepalive":
            getattr(client, case.end)()

    def reason(self):
        case, world = self.case, self.world
        if case.end in ("takeover", "disconnect"):
            return None if case.end == "takeover" else world.reason("disconnect")
        if case.end == "with will" and world.mosquitto.knows_why:
            return "disconnect"  # a goodbye, as far as that broker tells
        if guarded(world) and case.topic == "own" and case.end != "delayed":
            return "will"
        known = {"with will": "unknown", "keepalive": "keepalive"}.get(case.end, "lost")
        return world.reason(known)


def is_record(payload):
    try:
        return "rev" in json.loads(payload)
    except (TypeError, ValueError):
        return False


def wrong(stories, retained):
    """Whose retained message is not what it should be in the end."""
    for story in stories:
        payload = retained.get(topic_of(story.subject))
        if payload is None or not is_record(payload):
            if guarded(story.world) or not story.case.impossible():
                yield story.case, payload
        for topic in {story.target, topic_of(story.victim)} & retained.keys():
            if not is_record(retained[topic]) and (
                    guarded(story.world) or not story.case.impossible()):
                yield story.case, topic, retained[topic]


def test_in_the_end_the_record_stands_there(world):
    mark = world.observer.mark()
    stories = [Story(world, case) for case in cases()]
    for story in stories:
        story.end()
    for story in stories:
        reason = story.reason()
        if reason:
            world.observer.wait(story.subject, "offline", mark, 20, reason=reason)
    # A delayed will is sent after a second more or less: wait for one that all may see.
    late = world.observe("late/#")
    world.connect("late", version=5, will=("late/will", "x", 0, False, 4)).rst()
    late.wait_for(lambda one: one.topic == "late/will", "the last of the wills")
    world.fence()
    poll(lambda: not list(wrong(stories, world.retained())), 5,
         lambda: list(wrong(stories, world.retained())))
    if guarded(world):
        seen = [one for one in world.observer.since(mark)
                if one.payload and not is_record(one.payload)]
        assert not seen, seen


def test_wills_are_silent_about_who_is_back_in_time(make_world, guard):
    world = make_world(options={"topic_guard": guard, "grace": "20s"})
    stories = [Story(world, case) for case in cases()
               if case.end in ("rst", "fin", "takeover") and case.topic == "own"]
    for story in stories:
        world.observer.wait(story.subject, "online")
    mark = world.observer.mark()
    for story in stories:
        story.end()
    for story in stories:
        story.client = story.connect()
    world.fence()
    for story in stories:
        records = [one.record for one in world.observer.since(mark, story.subject)
                   if is_record(one.payload)]
        assert all(record["status"] == "online" for record in records), (story.case, records)


@pytest.mark.parametrize("takeover", [False, True])
def test_who_comes_again_has_a_will_before_he_has_written(make_world, guard, takeover):
    """Behind a broker that stood still several connections of one client wait, with their ends."""
    world = make_world(options={"topic_guard": guard, "grace": "20s"})
    name = world.name()
    subject, topic = f"agent/{name}", topic_of(f"agent/{name}")
    first, _ = world.online(f"agent:{name}:d", subject, will=(topic, "offline", 0, True))
    first.publish(topic, "online", qos=1)
    if not takeover:
        first.rst()
        world.fence()
    second = world.connect(f"agent:{name}:d", will=(topic, "offline", 0, True))
    world.fence()
    mark = world.observer.mark()
    second.rst()
    world.fence()
    poll(lambda: is_record(world.retained()[topic]), 5,
         lambda: f"a record, not {world.retained()[topic]}")
    assert not [one for one in world.observer.since(mark, subject)
                if one.record and one.status == "offline"]


def test_a_delayed_will_within_grace_says_why_too(make_world, mosquitto):
    world = make_world(options={"topic_guard": guards(mosquitto)[0], "grace": "4s"})
    name = world.name()
    client, _ = world.online(f"agent:{name}:d", f"agent/{name}", version=5,
                             will=(f"presence/agent/{name}", "offline", 0, True, 1))
    client.rst()
    world.observer.wait(f"agent/{name}", "offline", reason="will", seconds=15)


@pytest.mark.parametrize("grace", ["0", "400ms"])
def test_keepalive_without_grace_may_still_be_a_will(make_world, mosquitto, grace):
    world = make_world(options={"topic_guard": guards(mosquitto)[0], "grace": grace})
    name = world.name()
    world.online(f"agent:{name}:d", f"agent/{name}", keepalive=1,
                 will=(f"presence/agent/{name}", "offline", 0, True))
    world.observer.wait(f"agent/{name}", "offline", reason="will", seconds=20)


def test_an_ordinary_will_is_nobodys_reason(world):
    name, reader = world.name(), world.observe("wills/#")
    client, _ = world.online(f"agent:{name}:d", f"agent/{name}",
                             will=(f"wills/{name}", "gone", 1, False))
    client.rst()
    reader.wait_for(lambda one: one.payload == b"gone", "the will")
    world.observer.wait(f"agent/{name}", "offline", reason=world.reason("lost"))


def test_the_end_of_the_broker_declares_nobody_offline(make_world, guard, tmp_path):
    """It publishes all wills, of the living too."""
    world = make_world("state_file", options={"topic_guard": guard, "restart_grace": "2s"},
                       head=PERSISTENT.replace("{folder}", str(tmp_path)))
    names = [world.name() for _ in range(5)]

    def connect(name):
        return world.connect(f"agent:{name}:d", will=(f"presence/agent/{name}", "offline", 0,
                                                      True))
    for name in names:
        connect(name)
        world.observer.wait(f"agent/{name}", "online")
    mark, observer = world.observer.mark(), world.observer
    world.broker.stop(signal.SIGTERM)
    observer.thread.join(5)
    records = [one for one in observer.since(mark) if is_record(one.payload)]
    assert not records, records
    world.drop_clients()
    world.start()
    retained = world.retained()
    if guarded(world):
        assert all(is_record(retained[topic_of(f"agent/{name}")]) for name in names), retained
    for name in names[1:]:
        connect(name)
    world.observer.wait(f"agent/{names[0]}", "offline", reason="broker_restart")
    poll(lambda: all(is_record(payload) for payload in world.retained().values()), 5,
         lambda: world.retained())
    for name in names[1:]:
        found = json.loads(world.retained()[topic_of(f"agent/{name}")])
        assert (found["status"], found["source"]) == ("online", "inferred"), found


def test_records_from_the_brokers_database_are_ours(make_world, mosquitto, tmp_path):
    """The broker asks whether their author may write there; it no longer knows that it was us."""
    world = make_world(options={"topic_guard": guards(mosquitto)[0]},
                       head=PERSISTENT.replace("{folder}", str(tmp_path))
                       + "check_retain_source true\n")
    subject, _ = world.agent()
    before = world.retained()
    assert before[topic_of(subject)]
    world.restart(signal.SIGTERM)
    assert world.retained()[topic_of(subject)] == before[topic_of(subject)]


def test_what_clients_had_left_there_is_kept_from_readers(make_world, mosquitto, tmp_path):
    """With check_retain_source, a message of the time before the guard."""
    how = {"head": PERSISTENT.replace("{folder}", str(tmp_path)) + "check_retain_source true\n"}
    bare = make_world(plugin=False, **how)
    bare.connect("x").publish("presence/agent/x", "left behind", qos=1, retain=True)
    assert bare.retained() == {"presence/agent/x": b"left behind"}
    bare.close()
    world = make_world(options={"topic_guard": guards(mosquitto)[0]}, **how)
    assert world.retained() == {}


def test_a_takeover_by_a_connection_we_do_not_see_is_no_declaration(make_world, mosquitto):
    """The end follows the will at once."""
    world = make_world(options={"topic_guard": guards(mosquitto)[0]})
    subject, _ = world.agent()
    client_id = "agent:%s:d" % subject.split("/")[1]
    world.connect(client_id, will=(topic_of(subject), "away", 0, True))
    mark = world.observer.mark()
    world.connect(client_id)
    world.fence()
    assert not [one for one in world.observer.since(mark, subject)
                if one.record["source"] != "inferred"]


def test_a_goodbye_in_one_breath_is_a_goodbye(make_world, mosquitto):
    world = make_world(options={"topic_guard": guards(mosquitto)[0]})
    for version in (4, 5):
        subject, client = world.agent(version=version)
        client.publish(topic_of(subject), "offline", retain=True)
        client._send(DISCONNECT << 4, b"")
        client.fin()
        world.observer.wait(subject, "offline", reason="app")
