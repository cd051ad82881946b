# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Passwords, and what people write, planted wherever they can stand: in no log, no figure, no
answer to somebody else. That no log holds them is asked of every story, by World.close()."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from control import ADMIN, KIM, TOPIC, ask, make_control_world, send
from mqtt import Refused
from servers import SECRET, Redis, poll
from world import topic_of


def password_in_the_url(world_redis):
    return {"redis_url": f"redis://:{SECRET}@127.0.0.1:{world_redis.port}"}


@pytest.mark.parametrize("is_right", [True, False])
def test_the_password_of_redis_in_its_url(make_world, is_right):
    redis = Redis(make_world.folder / "redis").start()
    redis("CONFIG", "SET", "requirepass", SECRET if is_right else "another")
    redis("AUTH", SECRET if is_right else "another")
    world = make_world(options=password_in_the_url(redis))
    world.broker.wait_log("node b1 writes" if is_right else "presence: .*password")
    world.agent()
    seen = world.stats()
    assert seen and SECRET not in json.dumps(seen)
    world.close()
    redis.kill()


@pytest.mark.parametrize("option, value", [
    ("redis_url", f"redis://user:{SECRET}@local host"),
    ("redis_url", f"redis://:{SECRET}@127.0.0.1:99999"),
    ("redis_url", f"redis://:{SECRET}/x@127.0.0.1"),
    ("redis_url", f"rediss://:{SECRET}@127.0.0.1"),
    ("redis_url", f"http://:{SECRET}@127.0.0.1"),
    ("redis_password_file", SECRET),
])
def test_what_keeps_the_broker_from_starting_names_no_password(make_world, option, value):
    url = {"redis_url": "redis://127.0.0.1"} if option != "redis_url" else {}
    world = make_world(options={**url, option: value}, start=False)
    world.broker.start(wait=False)
    world.broker.wait_log(f"plugin_opt_{option}")
    world.broker.wait_end()
    world.close()


def test_a_file_that_is_not_read_names_no_password(make_world, tmp_path):
    path = tmp_path / "presence.conf"
    path.write_text(f"redis_url=redis://:{SECRET}@127.0.0.1\n")
    world = make_world(options={"config_file": path}, start=False)
    world.broker.start(wait=False)
    world.broker.wait_log("presence.conf:1: redis_url")
    world.broker.wait_end()
    world.close()


def test_what_clients_send_is_not_logged(bench, tmp_path):
    """Logins, commands good and bad, payloads on topics that are ours, wills."""
    world = make_control_world(bench, tmp_path / "world")
    admin, kim = world.connect("root", **ADMIN), world.connect("kim", **KIM, will=(
        topic_of("agent/kim"), SECRET, 0, True))
    for login in [{**KIM, "password": SECRET + "x"}, {"username": "no", "password": SECRET}]:
        with pytest.raises(Refused):
            world.connect("kim", **login)
    ask(kim, "setStatus", status="dnd", note=SECRET)
    for command in [{"command": SECRET}, {"command": "setStatus", "status": SECRET},
                    {"command": "kick", "clientid": SECRET}, {"command": "setStatus", SECRET: 1},
                    {"command": "getPresence", "subjects": [SECRET]}]:
        send(kim, json.dumps({"commands": [command]}))
    for payload in [SECRET, "{" + SECRET, json.dumps({"commands": SECRET})]:
        send(kim, payload)
    for payload in [SECRET, json.dumps({"status": SECRET}), "online"]:
        kim.publish(topic_of("agent/kim"), payload, qos=1)
        kim.publish(topic_of("agent/somebody"), payload + SECRET, qos=1)
        kim.publish("typing/c1/agent/kim", payload + SECRET, qos=1)
    kim.publish(TOPIC + "/response", SECRET, qos=1)
    stats = json.dumps([ask(admin, "getStats"), ask(admin, "listNodes"), world.stats()])
    assert SECRET not in stats
    kim.rst()
    world.fence()
    world.broker.send_signal(1)  # and whatever a reload says
    poll(lambda: "Reloading" in world.broker.log(), 5, "the reload")
    world.fence()
    world.close()


def test_presencectl_keeps_its_password(bench, tmp_path, make_world):
    ctl = Path(bench.plugin).parents[1] / "ctl/presencectl"
    if not ctl.exists():
        pytest.skip("no presencectl in this build")
    world = make_control_world(bench, tmp_path / "world")
    password = tmp_path / "word"
    password.write_text(SECRET + "\n")
    said = ""
    for words in [["stats"], ["doctor"], ["nodes"], ["list", "-h", "127.0.0.1"]]:
        ended = subprocess.run(
            [ctl, "-p", str(world.broker.port), "-u", ADMIN["username"], "-P", SECRET, *words],
            capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)})
        said += ended.stdout + ended.stderr
    assert said and SECRET not in said
    world.close()
