# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Listeners with settings of their own, and the plugin loaded more than once."""
import re

import pytest

from servers import poll

HEAD = """user root
log_dest stderr
set_tcp_nodelay true
"""
GLOBAL_TWICE = HEAD + """listener {port} 127.0.0.1
listener {ws_port} 127.0.0.1
protocol websockets
allow_anonymous true
{plugin}
{plugin}
"""
PER_LISTENER = HEAD + """per_listener_settings true
listener {port} 127.0.0.1
allow_anonymous true
{plugin}
listener {ws_port} 127.0.0.1
protocol websockets
allow_anonymous true
{plugin}
"""


def life(world, ws, times=1):
    """Somebody comes and goes; each transition is seen once."""
    mark = world.observer.mark()
    subject, client = world.agent(ws=ws)
    client.disconnect()
    world.observer.wait(subject, "offline", mark)
    world.fence()
    seen = [one.status for one in world.observer.since(mark, subject)]
    assert seen == ["online", "offline"] * times


def test_loaded_twice_is_loaded_once(make_world):
    world = make_world(store="redis", conf=GLOBAL_TWICE)
    for ws in (False, True):
        life(world, ws)
    world.wait_agreement()
    assert world.broker.stop() < 3


def test_different_options_stop_the_start(make_world):
    world = make_world(conf=GLOBAL_TWICE, start=False)
    text = world.broker.conf_path.read_text()
    at = text.rindex("grace 400ms")
    world.broker.conf_path.write_text(text[:at] + "grace 401ms" + text[at + len("grace 400ms"):])
    world.broker.start(wait=False)
    assert world.broker.wait_end() != 0
    assert re.search(r"presence.*(option|configur)", world.broker.log()), world.broker.log()


def test_per_listener_settings(make_world):
    world = make_world(store="redis", conf=PER_LISTENER)
    if world.mosquitto.old_tick:
        # 2.0.11 has no tick then: it says so, does its work as a broker, and we do nothing.
        said = "Error: presence: .*per_listener_settings false"
        poll(lambda: world.connect("agent:lee:d").ping() or re.search(said, world.broker.log()),
             10, "the line that says what to do")
        client = world.connect("agent:kim:d")
        client.publish("news", "x", qos=1)
        client.ping()
        assert not world.observer.since(0)
        assert len(re.findall(said, world.broker.log())) == 1
    else:
        for ws in (False, True):
            life(world, ws)
        world.wait_agreement()


def test_without_a_tick_nobody_is_left_online(make_world, mosquitto):
    """2.0.11 again: nobody could take back what was said before the missing tick is noticed."""
    world = make_world(conf=PER_LISTENER)
    if not mosquitto.old_tick:
        pytest.skip("this broker ticks")
    world.connect("agent:early:d").publish("news", "x", qos=1)
    poll(lambda: world.connect("agent:lee:d").ping() or "Error: presence" in world.broker.log(),
         10, "the error")
    assert not world.retained()


def test_one_listener_with_the_plugin_and_one_without(make_world, mosquitto):
    if mosquitto.old_tick:
        pytest.skip("inert on this broker, as above")
    without = PER_LISTENER[:PER_LISTENER.rindex("{plugin}")]
    world = make_world(conf=without)
    life(world, False)
    stranger = world.connect("agent:stranger:d", ws=True)
    stranger.ping()
    world.fence()
    assert not world.observer.since(0, "agent/stranger")
