# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A mistake in the options stops the start, and the log has the line that helps."""
import re
import signal

import pytest

from servers import REPOSITORY, passwords, poll

WRONG = {
    "unknown key": ("grase 3s", r"grase.*grace"),
    "no number": ("grace soon", r"grace.*soon"),
    "bare m": ("grace 5m", r"grace.*5m.*min"),
    "no unit": ("grace 5 apples", r"grace.*apples"),
    "negative": ("grace -3s", r"grace.*-3s"),
    "huge": ("grace 99999999999999999999d", r"grace"),
    "trailing comment": ("grace 3s # three seconds", r"grace.*#"),
    "word of another option": ("auth_mode true", r"auth_mode.*true.*defer"),
    "TLS": ("redis_url rediss://127.0.0.1:6379/0", r"redis_url.*TLS.*redis://"),
    "no address": ("redis_url http://127.0.0.1", r"redis_url.*redis://"),
    "relative path": ("state_file state.db", r"state_file.*absolute"),
    "node name": ("node a b", r"node"),
    "pattern": ("identity clientid {rolle}:{id}", r"identity.*placeholder.*\{role\}"),
    "wildcard topic": ("topic a/#", r"topic"),
    "count": ("subjects_max 0", r"subjects_max"),
    "config file": ("config_file /nonexistent/presence.conf", r"/nonexistent/presence.conf"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_mistake_stops_the_start(make_world, wrong):
    option, helpful = WRONG[wrong]
    world = make_world(start=False, options=[option.split(" ", 1)])
    world.broker.start(wait=False)
    assert world.broker.wait_end() != 0
    log = world.broker.log()
    assert [text for text in log.splitlines() if re.search(helpful, text)], log
    assert "unning" not in log.split("presence")[-1]


def test_a_mistake_in_the_config_file_names_file_and_line(make_world, tmp_path):
    path = tmp_path / "presence.conf"
    path.write_text("# ours\ngrace 3s\ngrase 4s\n")
    world = make_world(start=False, options={"config_file": path})
    world.broker.start(wait=False)
    assert world.broker.wait_end() != 0
    assert re.search(rf"{path}.*3.*grase.*grace", world.broker.log()), world.broker.log()


def test_values_are_trimmed_and_units_understood(make_world, tmp_path):
    path = tmp_path / "presence.conf"
    path.write_text("  grace   400ms  \n\n# a comment\nunmatched ignore\n")
    world = make_world(options={"config_file": path, "offline_retain_for": "36h  ",
                                "queue_max": "1k", "restart_grace": "1min"})
    mark = world.observer.mark()
    world.connect("sensor")
    world.fence()
    assert {one.topic.split("/")[1] for one in world.observer.since(mark)} == {"agent"}


def test_the_config_file_is_read_again_all_or_nothing(make_world, tmp_path):
    path = tmp_path / "presence.conf"
    path.write_text("unmatched ignore\n")
    world = make_world(options={"config_file": path})
    for text, tracked in [("unmatched track\n", True),
                          ("unmatched ignore\n", False),
                          ("unmatched track\ngrase 3s\n", False),
                          ("unmatched track\ntopic elsewhere\n", False)]:
        path.write_text(text)
        before = world.broker.log().count("presence: ")
        world.broker.send_signal(signal.SIGHUP)
        poll(lambda: world.broker.log().count("presence: ") > before, 5, "a word about it")
        mark, name = world.observer.mark(), world.name("sensor")
        world.connect(name)
        world.fence()
        assert bool(world.observer.since(mark, f"client/{name}")) == tracked, text
    assert re.search("presence: .*grase", world.broker.log())
    assert re.search("presence: .*topic", world.broker.log())


def test_who_was_offline_long_enough_is_forgotten(make_world):
    world = make_world(store="redis", options={"offline_retain_for": "500ms"})
    subject, client = world.agent()
    client.disconnect()
    gone = world.observer.wait(subject, "offline")
    world.observer.wait_for(lambda one: one.topic == gone.topic and not one.payload,
                            "an empty retained record")
    world.wait_agreement()
    assert not world.redis_record(subject)


def test_an_open_store_of_nothing_is_warned_about_once(make_world):
    world = make_world()
    world.fence()
    warnings = [line for line in world.broker.log().splitlines()
                if "state_file" in line and "redis_url" in line]
    assert len(warnings) == 1, world.broker.log()


def test_an_option_given_twice_is_a_mistake(make_world):
    world = make_world(start=False, options={"grace": ["1s", "2s"]})
    world.broker.start(wait=False)
    assert world.broker.wait_end() != 0
    world.broker.wait_log("grace.*twice")


def test_the_example_starts(make_world, bench, tmp_path):
    """mosquitto.conf.example as it is, but for ports and paths."""
    data = tmp_path / "data"
    data.mkdir()
    passwords(data / "passwd", "agent.u1", "secret")
    text = (REPOSITORY / "mosquitto.conf.example").read_text()
    text = re.sub(r"(?m)^listener (?!1883)\d+", "listener {ws_port} 127.0.0.1", text)
    text = re.sub(r"(?m)^listener 1883", "listener {port} 127.0.0.1", text)
    text = re.sub(r"(?<=\s)/(var|etc)/\S*/", f"{data}/", text)
    text = re.sub(r"(?m)^plugin .*$", f"plugin {bench.plugin}", text)
    world = make_world(conf="user root\nlog_dest stderr\n" + text, start=False)
    world.broker.start()
    login = {"username": "agent.u1", "password": "secret"}
    observer = world.observe(**login)
    clients = [world.connect(f"agent:u1:{ws}", ws=ws, **login) for ws in (False, True)]
    observer.wait("agent/u1", "online", devices=2)
    for client in clients:
        client.disconnect()
    observer.wait("agent/u1", "offline")
