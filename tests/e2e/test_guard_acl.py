# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the operator's access control decided, it decides still: who may publish, subscribe and
receive what is the same with and without us, for all topics but ours."""
import base64
import hashlib
import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from mqtt import Client
from servers import CACHE, passwords, poll
from world import topic_of

STORES = ["none"]
REFUSED = 0x87
USERS = ["alice", "bob", "eve"]
TOPICS = ["free/a", "free/alice", "alice/x", "bob/x", "secret/x", "readonly/x", "writeonly/x",
          "$SYS/broker/x", "deep/a/b/c", "presences/x"]
OURS = ["presence", "presence/agent/alice", "presence/agent/other",
        "presence/agent/alice/devices/d", "typing/room/agent/alice"]
FILTERS = ["free/#", "alice/+", "bob/#", "secret/x", "readonly/x", "writeonly/x", "deep/+/b/#",
           "presences/#", "presence/#", "typing/#", "$SYS/broker/x", "$share/g/free/a", "#"]
ACL_FILE = """
topic read free/#
user alice
topic readwrite free/#
topic read readonly/#
topic write writeonly/#
topic read deep/+/b/#
topic write deep/#
topic read presence/#
topic write presence/#
topic read presences/#
topic write presences/#
topic read $SYS/#
user bob
topic read free/#
topic write free/#
topic deny free/alice
topic write readonly/#
topic read writeonly/#
topic read typing/#
pattern readwrite %u/#
"""


def hashed(password):
    salt = b"0123456789ab"
    return {"password": base64.b64encode(
        hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)).decode(),
        "salt": base64.b64encode(salt).decode(), "iterations": 101}


def rules(kind, *topics, allow=True):
    return [{"acltype": kind, "topic": topic, "priority": 0 if allow else 5, "allow": allow}
            for topic in topics]


def dynamic_security():
    """The same in its own words; it also decides about subscriptions."""
    everyone = rules("subscribePattern", "free/#", "#") + rules("unsubscribePattern", "#") \
        + rules("publishClientReceive", "free/#")
    roles = {
        "alice": everyone + rules("subscribePattern", "presence/#", "readonly/#", "deep/#")
        + rules("publishClientSend", "free/#", "writeonly/#", "deep/#", "alice/#", "presence/#")
        + rules("publishClientReceive", "readonly/#", "deep/+/b/#", "alice/#", "presence/#"),
        "bob": everyone + rules("subscribePattern", "bob/#", "typing/#")
        + rules("publishClientSend", "free/#", "bob/#", "readonly/#")
        + rules("publishClientSend", "free/alice", allow=False)
        + rules("publishClientReceive", "bob/#", "writeonly/#", "typing/#"),
        "eve": everyone,
    }
    return {"defaultACLAccess": {"publishClientSend": False, "publishClientReceive": False,
                                 "subscribe": False, "unsubscribe": False},
            "clients": [{"username": name, **hashed(name), "roles": [{"rolename": name}]}
                        for name in USERS],
            "groups": [], "roles": [{"rolename": name, "acls": acls}
                                    for name, acls in roles.items()]}


def dynsec_library(mosquitto):
    places = {"2.0.11": Path("/usr/lib/x86_64-linux-gnu"),
              "2.0.21": CACHE / "trixie/root/usr/lib/x86_64-linux-gnu",
              "2.1": CACHE / "sid/root/usr/lib/x86_64-linux-gnu/mosquitto"}
    return places[mosquitto.name] / "mosquitto_dynamic_security.so"


@dataclass
class Access:
    """How an operator decides who may do what. tail comes before our plugin, after behind it."""
    tail: str = "allow_anonymous true\n"
    after: str = ""
    users: bool = False
    guard: str = "off"


@pytest.fixture(params=product(["no access control", "acl_file", "dynamic-security"],
                               ["guard", "no guard"]), ids=" and ".join)
def access(request, mosquitto, tmp_path):
    kind, guard = request.param
    on = "auto" if mosquitto.knows_why else "allow" if kind == "no access control" else "defer"
    guard = on if guard == "guard" else "off"
    if kind == "no access control":
        return Access(guard=guard)
    if kind == "acl_file":
        for name in USERS:
            passwords(tmp_path / "passwords", name, name)
        (tmp_path / "acl").write_text(ACL_FILE)
        return Access(f"allow_anonymous false\npassword_file {tmp_path}/passwords\n"
                      f"acl_file {tmp_path}/acl\n", users=True, guard=guard)
    (tmp_path / "dynsec.json").write_text(json.dumps(dynamic_security()))
    return Access("allow_anonymous false\n", f"plugin {dynsec_library(mosquitto)}\n"
                  f"plugin_opt_config_file {tmp_path}/dynsec.json\n", True, guard)


def make_broker(make_world, access, plugin=True):
    """Ours comes first, as it must on 2.0."""
    world = make_world(plugin=plugin, anonymous=False, start=False, tail=access.tail,
                       options={"topic_guard": access.guard})
    with open(world.broker.conf_path, "a") as conf:
        conf.write(access.after)
    world.broker.start()
    return world


def credentials(access, name):
    return {"username": name, "password": name} if access.users else {}


def connect(world, access, name, client_id=None, **how):
    how.setdefault("version", 5)
    return world.connect(client_id or f"agent:{name}:d", **credentials(access, name), **how)


def receive_all(clients):
    """All that the broker has for them: it answers in order, and publishes before it answers."""
    for _ in range(3):
        for client in clients.values():
            client.ping()


def table(world, access):
    """Who may do what, seen from outside."""
    seen = {}
    clients = {name: connect(world, access, name) for name in USERS}
    for name, topic in product(USERS, FILTERS):
        seen["subscribe", name, topic] = clients[name].subscribe(topic, 1)
    for name, topic, qos, retain in product(USERS, TOPICS, (0, 1, 2), (False, True)):
        code = clients[name].publish(topic, f"{name} {qos} {retain}", qos, retain)
        seen["publish", name, topic, qos, retain] = code if code != 16 else 0
    for name, topic in product(USERS, ("free/will", "secret/will")):
        connect(world, access, name, f"will-{name}",
                will=(topic, f"{name} is gone", 1, True)).rst()
    receive_all(clients)
    poll(lambda: receive_all(clients) or any(
        message.payload == b"eve is gone" or message.payload == b"alice is gone"
        for message in clients["alice"].inbox), 5, "a will that everybody may see")
    for name in USERS:
        for message in clients[name].inbox:
            if not ours(message.topic) and not message.topic.startswith("$SYS/broker/log"):
                seen["receive", name, message.topic, message.payload] = True
    for name, topic in product(USERS, FILTERS):
        seen["unsubscribe", name, topic] = clients[name].unsubscribe(topic)
    for name in USERS:
        late = connect(world, access, name, f"late-{name}")
        late.subscribe("#")
        late.ping()
        for message in late.inbox:
            if not ours(message.topic):
                seen["retained", name, message.topic, message.payload] = True
    return seen


def ours(topic):
    return topic.split("/")[0] in ("presence", "typing")


def differences(one, other):
    return {key: (one.get(key), other.get(key)) for key in one.keys() | other.keys()
            if one.get(key) != other.get(key)}


def test_who_may_do_what_stays_as_it_was(make_world, access):
    bare = table(make_broker(make_world, access, plugin=False), access)
    assert len({value for value in bare.values()}) > 1
    world = make_broker(make_world, access)
    assert not differences(bare, table(world, access))


@pytest.mark.parametrize("version", [4, 5])
def test_nobody_writes_on_our_topics(make_world, access, version):
    """Whatever the rights: alice may write there by the operator's rules."""
    world = make_broker(make_world, access)
    reader = connect(world, access, "alice", "reader")
    reader.subscribe("presence/#")
    reader.subscribe("typing/#")
    clients = {name: connect(world, access, name, version=version) for name in USERS}
    for name, topic, qos, retain in product(USERS, OURS, (0, 1, 2), (False, True)):
        code = clients[name].publish(topic, "hostile", qos, retain)
        assert code in (None, REFUSED if version == 5 else 0), (name, topic)
        if version == 5:
            clients[name].publish(topic, "hostile", 0, retain, alias=1)
            clients[name].publish("", "hostile", qos, retain, alias=1)
    for name, topic in product(USERS, OURS):
        if access.guard != "off":
            connect(world, access, name, f"will-{name}",
                    will=(topic, "hostile", 1, True), version=version).rst()
    for client in clients.values():
        client.ping()
    late = connect(world, access, "alice", "late")
    late.subscribe("presence/#")
    late.subscribe("typing/#")
    for client in (reader, late):
        client.ping()
        found = [message for message in client.inbox if message.payload == b"hostile"]
        assert not found, found


def test_records_reach_who_may_read_them(make_world, access):
    world = make_broker(make_world, access)
    readers = {name: connect(world, access, name, f"reader-{name}") for name in USERS}
    for reader in readers.values():
        reader.subscribe("presence/#")
    connect(world, access, "alice", "agent:alice:d")
    topic = topic_of("agent/alice")

    def came(client):
        client.ping()
        return [message for message in client.inbox if message.topic == topic]
    poll(lambda: came(readers["alice"]), 5, "alice's record")
    for name in ("bob", "eve"):
        assert bool(came(readers[name])) != access.users, name


def test_what_is_declared_on_ones_own_topic_is_shown(make_world, access):
    world = make_broker(make_world, access)
    observer = world.observe(**credentials(access, "alice"))
    for version, qos in product((4, 5), (0, 1, 2)):
        name = f"u{version}{qos}"
        client = connect(world, access, "alice", f"agent:{name}:d", version=version)
        for payload, status, note in [("away", "away", None), ("dnd", "dnd", None),
                                      ('{"status":"away","note":"lunch"}', "away", "lunch"),
                                      ("online", "online", None)]:
            mark = observer.mark()
            code = client.publish(f"presence/agent/{name}", payload, qos, True)
            assert code in (None, REFUSED if version == 5 else 0)
            found = observer.wait(f"agent/{name}", status, mark)
            assert found.record.get("note") == note
            assert found.record["source"] == "app"
        mark = observer.mark()
        client.publish(f"presence/agent/{name}", "offline", qos, True)
        observer.wait(f"agent/{name}", "offline", mark, reason="app")
        client.disconnect()


def test_a_guard_that_nobody_asks_says_so(make_world, mosquitto, tmp_path):
    """dynamic-security before us decides alone; the plain publishes are refused all the same."""
    config = tmp_path / "dynsec.json"
    config.write_text(json.dumps(dynamic_security()))
    access = Access(users=True)
    world = make_world(
        anonymous=False, start=False,
        options={"topic_guard": "auto" if mosquitto.knows_why else "defer"},
        tail=f"allow_anonymous false\nplugin {dynsec_library(mosquitto)}\n"
             f"plugin_opt_config_file {config}\n")
    world.broker.start()
    client = connect(world, access, "alice")
    assert client.publish("presence/agent/other", "x", 1) == REFUSED
    world.broker.wait_log("topic_guard is not asked")


def test_defer_without_other_access_control_says_so(make_world, mosquitto):
    if mosquitto.knows_why:
        pytest.skip("2.1 has an answer that decides nothing")
    world = make_world(options={"topic_guard": "defer"}, start=False)
    world.broker.start()
    client = world.connect("agent:u1:d", version=5)
    for _ in range(20):
        client.publish("any/topic", "x", 1)
    world.broker.wait_log("topic_guard allow")


def test_who_was_let_in_unseen_is_seen_when_it_subscribes(make_world, mosquitto, letting_all_in):
    world = make_world(options={"topic_guard": "auto" if mosquitto.knows_why else "allow"},
                       tail=letting_all_in)
    client = world.connect("agent:unseen:d")
    client.subscribe("any/topic")
    world.observer.wait("agent/unseen", "online")
    client.publish("presence/agent/unseen", "away")
    world.observer.wait("agent/unseen", "away")
    client.rst()
    world.observer.wait("agent/unseen", "offline")


def test_who_is_not_tracked_is_no_worse_off(make_world, mosquitto):
    """Who fails to be tracked may publish what others may, and nothing of ours."""
    world = make_world(options={"unmatched": "ignore",
                                "topic_guard": "auto" if mosquitto.knows_why else "allow"})
    client = Client(world.broker.port, "who knows", version=5)
    assert client.publish("any/topic", "x", 1) in (0, 16)
    assert client.publish("presence/client/who knows", "away", 1) == REFUSED
    client.disconnect()
