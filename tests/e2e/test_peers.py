# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Clients people really use: paho for Python, mosquitto_sub and mosquitto_pub."""
import json
import subprocess

import paho.mqtt.client as paho
import pytest

STORES = ["none"]


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
def test_paho_with_birth_and_last_will(world, transport, protocol):
    """The way presence is done by hand goes on working beside ours."""
    name = world.name()
    client = paho.Client(f"agent:{name}:paho", protocol=protocol, transport=transport)
    client.will_set(f"status/{name}", "gone", retain=True)
    client.on_connect = lambda one, *rest: one.publish(f"status/{name}", "here", retain=True)
    hand = world.observe(f"status/{name}")
    mark = world.observer.mark()
    client.connect("127.0.0.1", world.broker.ws_port if transport == "websockets"
                   else world.broker.port, keepalive=30)
    client.loop_start()
    world.observer.wait(f"agent/{name}", "online", mark)
    hand.wait_for(lambda one: one.payload == b"here", "birth")
    client.disconnect()
    client.loop_stop()
    world.observer.wait(f"agent/{name}", "offline", mark, reason=world.reason("disconnect"))


def test_mosquitto_sub_reads_what_mosquitto_pub_caused(world):
    name, port = world.name(), str(world.broker.port)
    pub = ["mosquitto_pub", "-p", port, "-m", "hello"]
    subprocess.run(pub + ["-t", "start", "-r"], check=True)
    with subprocess.Popen(
            ["mosquitto_sub", "-p", port, "-t", "start", "-t", f"presence/agent/{name}", "-C", "3",
             "-W", "20"], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout.readline() == "hello\n"  # subscribed by now
        subprocess.run(pub + ["-t", "news", "-i", f"agent:{name}:shell"], check=True)
        records = [json.loads(line) for line in reader.stdout]
    assert [one["status"] for one in records] == ["online", "offline"]


def test_a_killed_process_is_lost(world):
    name = world.name()
    mark = world.observer.mark()
    reader = subprocess.Popen(["mosquitto_sub", "-p", str(world.broker.port), "-i",
                               f"agent:{name}:shell", "-t", "news"])
    world.observer.wait(f"agent/{name}", "online", mark)
    reader.kill()
    reader.wait()
    world.observer.wait(f"agent/{name}", "offline", mark, reason=world.reason("lost"))
