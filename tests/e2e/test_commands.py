# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Commands: each request has its reply, whoever may not is told why, and nothing that strangers
send does any harm."""
import json
import random
import re
import signal

import pytest

from control import (ADMIN, KIM, RESPONSE, TOPIC, ask, ask_all, make_control_world,
                     refused, send)
from mqtt import Client, Closed
from servers import poll
from world import World, topic_of

ONLY_ADMINS = r"only admins may do that: connect with a username that an \"identity username\" rule"
ONLY_OWN = r"only admins may do that to others; leave out \"role\" and \"id\""
NOT_TRACKED = r"the presence of this client is not tracked, so it may ask but not declare; connect"


@pytest.fixture(scope="module")
def control(bench, tmp_path_factory):
    world = make_control_world(bench, tmp_path_factory.mktemp("control"))
    yield world
    world.close()


@pytest.fixture
def world(control):
    yield control
    control.close_clients()


def admin_of(world, version=5, **how):
    return world.connect(world.name("presencectl-"), version=version, **ADMIN, **how)


# Who asks, what, and what is in the answer: data, or a pattern that the error starts with.
REPLIES = [
    ("agent", {"command": "heartbeat"}, {}),
    ("agent", {"command": "heartbeat", "interval": 30, "status": "away", "note": "tea"}, {}),
    ("agent", {"command": "setStatus", "status": "dnd", "note": "ä"}, {}),
    ("agent", {"command": "clearStatus"}, {}),
    ("agent", {"command": "typing", "conversation": "c/1", "active": True}, {}),
    ("agent", {"command": "typing", "conversation": "c/1", "kind": "recording", "active": False}, {}),
    ("agent", {"command": "leave"}, {}),
    ("agent", {"command": "typing", "conversation": "c1", "active": True},
     "this device is down, as it left, declared offline or stopped beating; "
     "send a heartbeat or setStatus first"),
    ("agent", {"command": "heartbeat"}, {}),
    ("agent", {"command": "setOverride", "status": "away", "note": "x", "ttl": 60}, {}),
    ("agent", {"command": "clearOverride"}, {}),
    ("agent", {"command": "clearOverride"}, {}),
    ("agent", {"command": "setOverride", "status": "dnd", "role": "agent", "id": "{id}"}, {}),
    ("agent", {"command": "clearOverride", "role": "agent", "id": "{id}"}, {}),
    ("agent", {"command": "getPresence", "subjects": []}, {"subjects": []}),
    ("agent", {"command": "setOverride", "status": "away", "role": "agent", "id": "kim"}, ONLY_OWN),
    ("agent", {"command": "clearOverride", "role": "agent", "id": "kim"}, ONLY_OWN),
    ("agent", {"command": "listPresence"}, ONLY_ADMINS),
    ("agent", {"command": "getStats"}, ONLY_ADMINS),
    ("agent", {"command": "listNodes"}, ONLY_ADMINS),
    ("agent", {"command": "kick", "clientid": "x"}, ONLY_ADMINS),
    ("agent", {"command": "forget", "role": "agent", "id": "{id}"}, ONLY_ADMINS),
    ("kim", {"command": "listPresence"}, ONLY_ADMINS),
    ("kim", {"command": "setStatus", "status": "dnd"}, {}),
    ("nobody", {"command": "getPresence", "subjects": []}, {"subjects": []}),
    ("nobody", {"command": "heartbeat"}, NOT_TRACKED),
    ("nobody", {"command": "heartbeat", "status": "dnd"}, NOT_TRACKED),
    ("nobody", {"command": "setStatus", "status": "dnd"}, NOT_TRACKED),
    ("nobody", {"command": "clearStatus"}, NOT_TRACKED),
    ("nobody", {"command": "leave"}, NOT_TRACKED),
    ("nobody", {"command": "typing", "conversation": "c1", "active": True}, NOT_TRACKED),
    ("nobody", {"command": "setOverride", "status": "away"}, NOT_TRACKED),
    ("nobody", {"command": "clearOverride"}, NOT_TRACKED),
    ("nobody", {"command": "getStats"}, ONLY_ADMINS),
    ("admin", {"command": "setOverride", "status": "away"}, NOT_TRACKED),
    ("admin", {"command": "setOverride", "status": "away", "role": "agent", "id": "{id}"}, {}),
    ("admin", {"command": "clearOverride", "role": "agent", "id": "{id}"}, {}),
    ("admin", {"command": "setOverride", "status": "away", "role": "pilot", "id": "p1"},
     "no client can have this \"role\": it is none of the option roles"),
    ("admin", {"command": "clearOverride", "role": "pilot", "id": "p1"}, {}),
    ("admin", {"command": "setOverride", "status": "offline", "role": "agent", "id": "{id}"},
     "\"status\" is \"offline\"; it takes one of online, away, dnd, invisible"),
    ("admin", {"command": "listNodes"}, {"nodes": [{"node": "b1", "state": "up",
                                                    "version": "0.1.0"}]}),
    ("admin", {"command": "kick", "clientid": "nobody has this"},
     "no client with this \"clientid\" is known to be connected to this broker"),
    ("admin", {"command": "forget", "role": "agent", "id": "{id}"},
     "this subject is not offline; kick its clients first"),
    ("admin", {"command": "forget", "role": "agent", "id": "never seen"},
     "nothing is published of this subject; listPresence tells of whom there is"),
    ("admin", {"command": "kik", "clientid": "x"}, "unknown command \"kik\"; did you mean \"kick\"?"),
    ("admin", {"command": "kick", "clientID": "x"},
     "unknown key \"clientID\"; did you mean \"clientid\"?"),
]


def test_each_request_has_its_reply(world, version):
    name = world.name()
    clients = {"agent": world.online(f"agent:{name}:d", f"agent/{name}", version=version)[0],
               "kim": world.connect(world.name("mobile"), version=version, **KIM),
               "nobody": world.connect(world.name("mosq-"), version=version),
               "admin": admin_of(world, version)}
    for who, command, expected in REPLIES:
        command = {key: name if value == "{id}" else value for key, value in command.items()}
        answer = ask_all(clients[who], {**command, "correlationData": "c 7"})[0]
        assert answer["command"] == command["command"]
        assert answer["correlationData"] == "c 7"
        if isinstance(expected, str):
            pattern = expected if "\\" in expected else re.escape(expected)
            assert re.match(pattern, answer["error"]), (who, command, answer)
            assert "data" not in answer
        else:
            assert answer.get("data") == expected, (who, command, answer)


def test_commands_of_a_message_are_answered_in_their_order(world, version):
    subject, client = world.agent(version=version)
    answers = ask_all(client, {"command": "setStatus", "status": "dnd", "correlationData": "1"},
                      {"command": "nonsense", "correlationData": "2"}, 7,
                      {"command": "getPresence", "subjects": [subject], "correlationData": "3"})
    assert [(one["command"], one.get("correlationData"), "error" in one) for one in answers] == [
        ("setStatus", "1", False), ("nonsense", "2", True), ("", None, True),
        ("getPresence", "3", False)]
    assert answers[3]["data"]["subjects"][0]["status"] == "dnd"


NO_MESSAGES = [b"", b"\0", b"online", b"[]", b"{}", b"null ", b'{"commands":[]}', b'{"commands":7}',
               b'{"commands":[{"command":"leave"}]', b'{"commands":[{"command":"\xff"}]}',
               b'{"command":"leave"}', b"[" * 60000, b'{"commands":' * 5000,
               b'{"commands":[' + b",".join([b"{}"] * 65) + b"]}", b" " * 70000, b"\xff" * 3000,
               b'{"commands":[{"command":"heartbeat","interval":0x10}]}']


def test_what_is_no_message_gets_one_error(world, version):
    subject, client = world.agent(version=version)
    for payload in NO_MESSAGES:
        for qos in (0, 1, 2):
            answers = json.loads(send(client, payload, qos=qos).payload)["responses"]
            assert len(answers) == 1 and answers[0]["command"] == "", payload[:40]
            assert len(answers[0]["error"]) < 256
    client.ping()
    assert not client.inbox


def test_the_reply_goes_where_mqtt_5_wants_it(world):
    _, client = world.agent(version=5)
    good = ["replies/here", "x", "presences", "$CONTROL/presence/v1/response"]
    bad = ["a/+/b", "#", "presence", "presence/agent/u1", "typing/c1", "$SYS/broker/x",
           "$CONTROL/dynamic-security/v1/response", "$share/a/b"]
    payload = json.dumps({"commands": [{"command": "clearStatus"}]})
    for topic in good + bad:
        try:
            message = send(client, payload, response=topic, correlation=b"\x00\xff7")
        except Closed:
            # Releases differ on whether a wildcard there is a protocol error: then it is theirs.
            assert "+" in topic or "#" in topic
            _, client = world.agent(version=5)
            continue
        assert message.topic == (topic if topic in good else RESPONSE)
        assert message.properties["correlation_data"] == b"\x00\xff7"
        assert message.properties["content_type"] == b"application/json"
        assert not message.retain


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_reply_has_the_qos_of_the_request(world, version, qos):
    _, client = world.agent(version=version)
    message = send(client, json.dumps({"commands": [{"command": "leave"}]}), qos=qos)
    assert (message.topic, message.qos) == (RESPONSE, min(qos, 1))


def test_nobody_else_sees_requests_or_replies(world, version):
    subject, client = world.agent(version=version)
    spy = world.connect(world.name("mosq-spy"), version=5)
    for topic in ("$CONTROL/#", RESPONSE, "#"):
        spy.subscribe(topic)
    ask(client, "setStatus", status="dnd", note="seen by all")
    world.observer.wait(subject, "dnd")
    spy.ping()
    assert not [one for one in spy.inbox if one.topic.startswith("$CONTROL")]


def test_what_is_asked_is_what_is_published(world, version):
    subject, client = world.agent(version=version)
    role, name = subject.split("/")
    strange = world.name("a:b/c%d€")
    other, _ = world.online(strange, f"client/{strange}", version=version)
    ask(other, "setStatus", status="away", note="\"quoted\" ✓")
    answers = ask(client, "getPresence", subjects=[
        subject, topic_of(f"client/{strange}")[len("presence/"):], "agent/nobody", "pilot/x"])
    one, two, nobody, pilot = answers["subjects"]
    published = json.loads(world.observer.last()[topic_of(subject)])
    assert {**one, "last_seen": 0} == {**published, "last_seen": 0}
    assert list(one) == list(published)
    assert (two["id"], two["note"], two["status"]) == (strange, "\"quoted\" ✓", "away")
    assert nobody == {"v": 1, "role": "agent", "id": "nobody", "status": "offline",
                      "previous": "offline", "reason": "unknown", "source": "inferred",
                      "devices": 0, "since": 0, "last_seen": 0, "rev": 0, "node": "b1"}
    assert {**pilot, "role": "agent", "id": "nobody"} == nobody


def test_asking_is_evidence(world, version):
    subject, client = world.agent(version=version)
    first = ask(client, "getPresence", subjects=[subject])["subjects"][0]["last_seen"]
    poll(lambda: ask(client, "getPresence", subjects=[subject])["subjects"][0]["last_seen"] > first,
         5, "last_seen moves")
    assert len(world.observer.since(0, subject)) == 1, "and nothing is published"


# Lists

def test_a_list_has_everybody_once(make_control, version):
    world = make_control()
    admin = admin_of(world, version)
    clients = [world.connect(f"{'agent' if i % 3 else 'user'}:n{i}:d") for i in range(240)]
    for i, client in enumerate(clients):
        if i % 5 == 0:
            client.disconnect()
        if i % 7 == 0 and i % 5:
            ask(client, "setStatus", status="dnd")
    world.fence()
    world.wait_grace_over()
    records = {topic: json.loads(payload) for topic, payload in world.retained().items()}

    def listed(count=100, **which):
        found, after = [], {}
        while True:
            answer = ask(admin, "listPresence", count=count, **which, **after)
            assert len(answer["subjects"]) <= count
            found += answer["subjects"]
            if "after" not in answer:
                return answer["totalCount"], found
            after = {"after": answer["after"]}

    for which in ({}, {"role": "agent"}, {"status": "dnd"}, {"role": "user", "status": "offline"},
                  {"status": "away"}, {"role": "nobody"}):
        expected = sorted((one["role"], one["id"]) for one in records.values()
                          if all(one[key] == value for key, value in which.items()))
        for count in (1000, 100, 7):
            total, found = listed(count, **which)
            assert sorted((one["role"], one["id"]) for one in found) == expected
            assert total == len(expected)
    page = ask(admin, "listPresence", count=10)["subjects"]
    assert ask(admin, "listPresence", count=6, offset=4)["subjects"] == page[4:]
    last = f"{page[3]['role']}/{page[3]['id']}"
    assert ask(admin, "listPresence", count=6, after=last)["subjects"] == page[4:]


def test_a_page_counts_whom_nothing_is_published_of(make_control):
    """They are passed over, a bounded number at a time, and not named."""
    world = make_control()
    admin = admin_of(world)
    shown, client = world.agent()
    for number in range(0, 5000, 50):
        ask_all(admin, *({"command": "setOverride", "role": "user", "id": f"unseen{number + i}",
                          "status": "away"} for i in range(50)))
    found, after, pages = [], {}, 0
    while after is not None:
        answer = ask(admin, "listPresence", **after)
        assert "unseen" not in json.dumps(answer)
        found += [f"{one['role']}/{one['id']}" for one in answer["subjects"]]
        after = {"after": answer["after"]} if "after" in answer else None
        pages += 1
    assert shown in found and len(found) == len(set(found)) == answer["totalCount"]
    assert pages == 3


def test_a_page_looks_at_so_many_and_a_list_still_ends(make_control):
    """Rare among many: pages are empty, and go on."""
    world = make_control({"grace": "0"})
    admin = admin_of(world)
    for number in range(2100):
        Client(world.broker.port, f"user:n{number}:d").disconnect()
    rare, client = world.agent()
    world.fence()
    found, after, pages = [], {}, 0
    while after is not None:
        answer = ask(admin, "listPresence", role="agent", status="online", **after)
        found += [f"{one['role']}/{one['id']}" for one in answer["subjects"]]
        after = {"after": answer["after"]} if "after" in answer else None
        pages += 1
    assert found == [rare] and pages == 2
    assert answer["totalCount"] == 1
    assert "leave it out" in refused(admin, "listPresence", offset=2001)
    assert len(ask(admin, "listPresence", offset=1990)["subjects"]) == 10


def test_stats_are_those_of_sys(world):
    admin = admin_of(world)
    stats = ask(admin, "getStats")
    published = poll(world.stats, 15, "$SYS is published")
    assert set(published) <= set(stats)
    assert {"subjects", "sessions", "online/agent", "refused/command_rate"} <= set(stats)
    assert isinstance(stats["subjects"], int) and stats["digest/agent"]["count"] >= 1


# Rights

@pytest.mark.parametrize("options", [
    {"identity": ["clientid {role}:{id}"]},  # no rule for names
    {"auth_mode": "allow"},                  # no password is asked for
    {"admin_roles": "none"}, {"admin_roles": "supervisor"},
    {"roles": "agent client"}])
def test_without_a_proof_nobody_is_an_admin(make_control, options):
    world = make_control(options)
    for how in (ADMIN, {}):
        client = world.connect("admin:root", version=5, **how)
        for command in ("getStats", "listPresence", "listNodes"):
            assert re.match(ONLY_ADMINS, refused(client, command))
        assert re.match(ONLY_OWN, refused(client, "setOverride", status="away", role="agent",
                                          id="u1"))
        client.disconnect()


def test_a_client_id_proves_nothing_unless_the_operator_says_so(make_control):
    world = make_control()
    assert re.match(ONLY_ADMINS, refused(world.connect("admin:eve"), "getStats"))
    assert re.match(ONLY_ADMINS, refused(world.connect("admin:kim", **KIM), "getStats"))
    assert "control_open" not in world.broker.log()
    world = make_control({"control_open": "true"})
    assert world.broker.log().count("control_open lets every client") == 1
    assert ask(world.connect("admin:eve"), "getStats")
    assert re.match(ONLY_ADMINS, refused(world.connect("agent:eve"), "getStats"))


def test_what_admins_do_is_in_the_log(world):
    subject, _ = world.agent()
    role, name = subject.split("/")
    admin = admin_of(world)
    ask(admin, "setOverride", status="dnd", note="a secret", role=role, id=name)
    ask(admin, "clearOverride", role=role, id=name)
    ask(admin, "kick", clientid=f"agent:{name}:d")
    world.observer.wait(subject, "offline")
    ask(admin, "forget", role=role, id=name)
    log = world.broker.log()
    for line in (f"setOverride | subject={subject}", f"clearOverride | subject={subject}",
                 f"kick | clientid=agent:{name}:d", f"forget | subject={subject}"):
        assert f"presence: {admin.client_id}/admin.root | {line}\n" in log
    assert "a secret" not in log


# Kicks and being forgotten

@pytest.mark.parametrize("ws", [False, True])
def test_a_kick_ends_a_connection_for_that_reason(world, version, ws):
    subject, client = world.agent(version=version, ws=ws)
    mark = world.observer.mark()
    ask(admin_of(world, version), "kick", clientid=client.client_id)
    client.wait_closed()
    world.observer.wait(subject, "offline", mark, reason="kicked")
    assert refused(admin_of(world), "kick", clientid=client.client_id).startswith("no client with")


def test_a_kicked_client_that_comes_back_ends_as_it_ends(world):
    subject, client = world.agent()
    admin = admin_of(world)
    ask(admin, "kick", clientid=client.client_id)
    client.wait_closed()
    client, _ = world.online(client.client_id, subject)
    mark = world.observer.mark()
    client.rst()
    world.observer.wait(subject, "offline", mark, reason=world.reason("lost"))


def test_untracked_clients_can_be_kicked_too_and_so_can_many(world):
    admin = admin_of(world)
    clients = [world.connect(world.name("mosq-")) for _ in range(60)]
    answers = ask_all(admin, *[{"command": "kick", "clientid": one.client_id} for one in clients])
    assert all("data" in one for one in answers)
    for client in clients:
        client.wait_closed()


def test_forgetting_removes_the_record(world):
    subject, client = world.agent()
    admin = admin_of(world)
    role, name = subject.split("/")
    client.disconnect()
    world.observer.wait(subject, "offline")
    ask(admin, "forget", role=role, id=name)
    world.observer.wait_for(lambda one: one.topic == topic_of(subject) and not one.payload,
                            "an empty record")
    assert topic_of(subject) not in world.retained()
    assert refused(admin, "forget", role=role, id=name).startswith("nothing is published")


# Floods and hostile bytes

def flood(client, count):
    for number in range(count):
        client.publish(TOPIC, json.dumps({"commands": [
            {"command": "setStatus", "status": "dnd", "correlationData": str(number)}]}))
    client.ping()
    while True:
        try:
            client._handle(client.read_packet(0.5))
        except TimeoutError:
            return [json.loads(one.payload)["responses"][0] for one in client.inbox]


def test_too_many_commands_are_not_carried_out_and_harm_nobody(make_control, version):
    world = make_control({"command_rate": "10/s burst 20"})
    subject, client = world.agent(version=version)
    answers = flood(client, 500)
    done = [one for one in answers if "data" in one]
    told = [one for one in answers if "error" in one]
    assert 20 <= len(done) <= 40
    assert 1 <= len(told) <= 4, "one a second"
    assert told[0]["error"].startswith("too many commands: 10 a second and 20 at once")
    stats = poll(lambda: "error" not in (one := ask_all(client, {
        "command": "getPresence", "subjects": []})[0]) and one, 10, "commands work again")
    assert stats["data"] == {"subjects": []}
    admin = admin_of(world)
    assert ask(admin, "getStats")["refused/command_rate"] >= 500 - len(done)
    assert "more commands than command_rate allows" in world.broker.log()
    assert world.broker.log().count("more commands than command_rate allows") == 1


def test_one_message_cannot_hold_more_than_the_burst(make_control):
    world = make_control({"command_rate": "1/s burst 5"})
    _, client = world.agent()
    answers = ask_all(client, *[{"command": "clearStatus"}] * 64)
    assert ["data" in one for one in answers] == [True] * 5 + [False]


def hostile(rng):
    """Something like JSON, or like a command, and mostly wrong."""
    words = [b'{"commands":[', b"{", b"}", b"[", b"]", b'"command":', b'"setStatus"', b",", b":",
             b'"status":"dnd"', b"1e308", b"-0", b"null", b'"\\u0000"', b'"\\ud800"', b"\xff", b"\0",
             b'"note":"' + b"x" * 200 + b'"', b'"subjects":[' + b'"a/b",' * 300, b"]}",
             b'{"command":"getPresence","subjects":["agent/u1"]}', b'"ttl":1e-300', b" " * 100]
    return b"".join(rng.choice(words) for _ in range(rng.randrange(1, 60)))


def rss_kb(broker):
    status = open(f"/proc/{broker.process.pid}/status", encoding="ascii").read()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))


VALUES = ["null", "true", "{}", "[]", "[[[]]]", '""', '"x"', '"%s"' % ("x" * 129), '"\\u0000"',
          '"a\\u0000b"', '"\\u007f"', '"\\ud800"', '"😀"', '"%zz/x"', '"+/#"', '"agent/u1"',
          '["agent/u1",7]', '["\\u0000/x"]', '["%2F/%00"]', "0", "-1", "-0.0", "0.5", "1.5", "3601",
          "1e-300", "1e308", "1e400", "2147483648", "9223372036854775808", "1" + "0" * 400, '"2"', "NaN",
          "Infinity", "-Infinity"]
FIELDS = ["command", "interval", "status", "note", "ttl", "role", "id", "subjects", "count", "offset",
          "after", "clientid", "conversation", "kind", "active", "correlationData"]
COMMANDS = ["heartbeat", "setStatus", "clearStatus", "typing", "setOverride", "clearOverride",
            "getPresence", "listPresence", "getStats", "listNodes", "kick", "forget", "leave"]


def test_any_value_of_any_field_has_an_answer(world, version):
    """64 of them a message, of a client and of an admin; most are wrong."""
    commands = [f'{{"command":"{command}","{field}":{value}}}'
                for command in COMMANDS for field in FIELDS for value in VALUES]
    for client in (world.agent(version=version)[1], admin_of(world, version)):
        for at in range(0, len(commands), 64):
            some = commands[at:at + 64]
            message = send(client, '{"commands":[%s]}' % ",".join(some))
            answers = json.loads(message.payload.decode("utf-8", "surrogatepass"))["responses"]
            assert len(answers) == len(some)
            for command, answer in zip(some, answers):
                assert ("data" in answer) != ("error" in answer), (command, answer)
                assert len(answer.get("error", "")) < 256, (command, answer)


def test_hostile_bytes_harm_nobody(make_control, version):
    world = make_control(start=False)
    world.broker.asan_options = ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    world.start()
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    subject, client = world.agent(version=version)
    sizes = []
    wrong = json.dumps({"commands": [{"command": "setStatus", "status": "x" * 300, f"x{i}": i}
                                     for i in range(64)]})
    for _ in range(6):
        for _ in range(250):
            client.publish(TOPIC, hostile(rng))
        for _ in range(20):
            client.publish(TOPIC, wrong)
        client.publish(TOPIC, b'{"commands":[' + b'{"command":"x"},' * 4000)
        client.publish(TOPIC, b"[" * 65536)
        client.ping()
        client.inbox.clear()
        sizes.append(rss_kb(world.broker))
    assert ask(client, "getPresence", subjects=[subject])["subjects"][0]["status"] != "offline"
    print(sizes)
    assert sizes[-1] - sizes[2] < 2048, sizes


def test_redis_away_makes_overrides_local(make_control):
    world = make_control(store="redis")
    subject, client = world.agent()
    admin = admin_of(world)
    poll(lambda: ask(admin, "getStats")["redis/state"] == "ready", 10, "redis is ready")
    assert ask(client, "setOverride", status="away") == {}
    world.redis.kill()
    poll(lambda: ask(admin, "getStats")["redis/state"] != "ready", 10, "redis is away")
    assert ask(client, "setOverride", status="dnd") == {"scope": "local"}
    assert ask(client, "clearOverride") == {"scope": "local"}


def test_with_access_control_commands_need_two_rights(bench, tmp_path):
    """What PROTOCOL.md tells operators to allow is enough."""
    acl = tmp_path / "acl"
    acl.write_text("topic read presence/#\n"
                   f"topic write {TOPIC}\ntopic read {RESPONSE}\n")
    acl.chmod(0o600)
    world = World(bench, tmp_path / "world", tail=f"acl_file {acl}\n")
    try:
        subject, client = world.agent()
        assert ask(client, "setStatus", status="dnd") == {}
        world.observer.wait(subject, "dnd")
    finally:
        world.close()


def test_a_reload_leaves_commands_as_they_are(make_control):
    world = make_control()
    admin = admin_of(world)
    for _ in range(3):
        world.broker.send_signal(signal.SIGHUP)
        assert ask(admin, "listNodes")["nodes"]
    poll(lambda: world.broker.log().count("Reloading config") >= 1, 5, "a reload")
    assert ask(admin, "listNodes")["nodes"]
