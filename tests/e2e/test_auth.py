# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Presence changes nothing about who gets in, except where it must be told how (auth_mode)."""
import itertools
import json
import signal
import subprocess

import pytest

from control import ask, refused
from mqtt import Client, Refused
from servers import passwords, poll
from world import BASE

LOGINS = {"anonymous": {}, "name": {"username": "kim"},
          "stranger": {"username": "lee", "password": "x"},
          "right": {"username": "kim", "password": "right"},
          "wrong": {"username": "kim", "password": "wrong"}}
CONFIGS = {"open": "allow_anonymous true\n", "closed": "allow_anonymous false\n",
           "passwords": "allow_anonymous false\npassword_file {passwords}\n",
           "passwords and anonymous": "allow_anonymous true\npassword_file {passwords}\n"}


@pytest.fixture
def password_file(tmp_path):
    return passwords(tmp_path / "passwords", "kim", "right")


def answers(world):
    """Who gets in, by TCP and WebSocket, in both versions; all at once."""
    asking = {}
    for name, version, ws in itertools.product(LOGINS, (4, 5), (False, True)):
        port = world.broker.ws_port if ws else world.broker.port
        asking[name, version, ws] = Client(port, f"agent:{name}:{version}{ws}", version=version,
                                           ws=ws, wait=False, **LOGINS[name])
    return {key: answer(client) for key, client in asking.items()}


def answer(client):
    try:
        client.wait_connack()
        client.disconnect()
        return "in"
    except Refused as refusal:
        return refusal.code


def make_broker(make_world, text, password_file, **how):
    world = make_world(tail=text.replace("{passwords}", str(password_file)), anonymous=False,
                       start=False, **how)
    world.broker.start()
    return world


@pytest.mark.parametrize("config", CONFIGS)
def test_defer_changes_nothing(make_world, password_file, config):
    bare = answers(make_broker(make_world, CONFIGS[config], password_file, plugin=False))
    world = make_broker(make_world, CONFIGS[config], password_file)
    ours = answers(world)
    if config == "open" and not world.mosquitto.knows_why:
        # A 2.0 broker that asks a plugin and gets no answer refuses who gives a name.
        assert {key: code for key, code in ours.items() if key[0] == "anonymous"} == {
            key: code for key, code in bare.items() if key[0] == "anonymous"}
        assert all(code != "in" for key, code in ours.items() if key[0] != "anonymous")
        assert world.broker.wait_log("auth_mode")
        assert world.broker.log().count("auth_mode allow") == 1
    else:
        assert ours == bare


def test_allow_keeps_an_open_broker_open(make_world, password_file):
    bare = answers(make_broker(make_world, CONFIGS["open"], password_file, plugin=False))
    world = make_broker(make_world, CONFIGS["open"], password_file, options={"auth_mode": "allow"})
    assert answers(world) == bare


def test_logins_still_work_after_a_reload(make_world, password_file):
    world = make_broker(make_world, CONFIGS["passwords"], password_file)
    before = answers(world)
    for times in (1, 2):
        world.broker.send_signal(signal.SIGHUP)
        poll(lambda: world.broker.log().count("Reloading config") == times, 5, "a reload")
        assert answers(world) == before
    assert world.broker.alive()


def test_who_is_in_is_online_with_passwords(make_world, password_file):
    world = make_world(tail=f"password_file {password_file}\n")
    subject, client = world.agent(username="kim", password="right")
    client.disconnect()
    world.observer.wait(subject, "offline")


LOGIN = {"username": "admin", "password": "secret"}


@pytest.fixture
def dynamic_security(mosquitto, tmp_path):
    """The lines for mosquitto.conf; LOGIN may do everything."""
    path = tmp_path / "dynamic-security.json"
    subprocess.run(["mosquitto_ctrl", "dynsec", "init", path, *LOGIN.values()],
                   check=True, capture_output=True)
    config = json.loads(path.read_text())
    config["defaultACLAccess"] = dict.fromkeys(config["defaultACLAccess"], True)
    path.write_text(json.dumps(config))
    return (f"plugin {mosquitto.library('mosquitto_dynamic_security.so')}\n"
            f"plugin_opt_config_file {path}\n")


def test_before_dynamic_security_everybody_is_seen(make_world, dynamic_security):
    world = make_world(conf=BASE.replace("{head}", "{plugin}").replace("{tail}", dynamic_security),
                       start=False)
    world.broker.start()
    world.observer = world.observe(**LOGIN)
    subject, client = world.agent(**LOGIN)
    with pytest.raises(Refused):
        world.connect(client.client_id, username="admin", password="wrong")
    with pytest.raises(Refused):
        world.connect("agent:ghost:d", username="nobody", password="x")
    mark = world.observer.mark()
    client.disconnect()
    world.observer.wait(subject, "offline", mark)
    assert not world.observer.since(0, "agent/ghost")


def publishes(client):
    client.publish("news", "here I am", qos=1)


def commands(client):
    assert ask(client, "getPresence", subjects=[])


def declares(client):
    assert ask(client, "setStatus", status="online") == {}


def subscribes(client):
    assert client.subscribe("any/topic") < 128


def wrong_command(client):
    assert "unknown command" in refused(client, "kik")


# dynamic-security decides about subscriptions too, and then nobody asks us.
@pytest.mark.parametrize("earlier, sign", [
    *(("dynamic_security", sign) for sign in (publishes, commands, declares, wrong_command)),
    *(("letting_all_in", sign) for sign in (publishes, commands, declares, subscribes))],
    ids=lambda value: getattr(value, "__name__", value))
def test_who_was_let_in_by_another_plugin_is_seen_by_a_sign(
        make_world, mosquitto, request, earlier, sign):
    if mosquitto.knows_why and sign is not publishes:
        pytest.skip("2.1 shows them as they connect")
    lines = request.getfixturevalue(earlier)
    how = LOGIN if earlier == "dynamic_security" else {}
    world = make_world(conf=BASE.replace("{head}", lines).replace("{tail}", "{plugin}"),
                       start=False, options={
                           "topic_guard": "auto" if mosquitto.knows_why else "allow",
                           "grace": "100ms"})
    world.broker.start()
    world.observer = world.observe(**how)
    for ws, version in ((False, 4), (True, 5)):
        subject = f"agent/{world.name()}"
        mark = world.observer.mark()
        client = world.connect(subject.replace("/", ":") + ":d", ws, version=version, **how)
        client.ping()
        if not mosquitto.knows_why:
            assert not world.observer.since(world.observer.mark(), subject)
        for again in (False, True):  # the second time as another session under the same id
            sign(client)
            world.observer.wait(subject, "online", mark, reason="connect", devices=1)
            sign(client)  # and that is no news
            mark, before = world.observer.mark(), mark
            client.disconnect() if again else client.rst()
            world.observer.wait(subject, "offline", mark)
            found = [one.status for one in world.observer.since(before, subject)]
            assert found == ["online", "offline"], found
            if not again:
                mark = world.observer.mark()
                client = world.connect(client.client_id, ws, version=version, **how)
    log = world.broker.log()
    assert log.count("a client was let in before we were asked") == (not mosquitto.knows_why)
