# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The harness itself, on brokers without the plugin: what it claims to do, it does."""
import signal
import subprocess
import time

import pytest

from mqtt import Client, Refused
from servers import Broker, Redis, poll, sanitizers_of
from world import BASE, Observer

OPEN = BASE.replace("{head}", "").replace("{tail}", "") + "allow_anonymous true\n"


@pytest.fixture
def broker(mosquitto, tmp_path):
    broker = Broker(mosquitto, tmp_path / "broker", OPEN).start()
    yield broker
    broker.stop()


def ports(broker):
    return [(broker.port, False), (broker.ws_port, True)]


@pytest.mark.parametrize("version", [4, 5])
def test_publish_reaches_a_subscriber_on_both_transports(broker, version):
    for port, ws in ports(broker):
        one = Client(port, "one", version=version, ws=ws)
        assert one.subscribe("t/#", 1) == 1
        assert one.publish("t/1", "x" * 300, qos=1) == 0
        one.ping()
        assert [(m.topic, m.payload) for m in one.inbox] == [("t/1", b"x" * 300)]
        one.disconnect()


@pytest.mark.parametrize("end,will", [("disconnect", False), ("fin", True), ("rst", True)])
def test_ends_are_what_they_are_called(broker, end, will):
    for port, ws in ports(broker):
        observer = Observer(broker.port, "#")
        leaver = Client(port, "leaver", ws=ws, will=("will/leaver", "gone", 0, False))
        getattr(leaver, end)()
        Client(broker.port, "marker", will=("will/marker", "gone", 0, False)).rst()
        observer.wait_for(lambda one: one.topic == "will/marker", "the marker's will")
        assert any(one.topic == "will/leaver" for one in observer.seen) == will
        observer.close()


def test_silence_runs_into_keepalive(broker):
    silent = Client(broker.port, "silent", keepalive=1)
    assert silent.wait_closed(15)


@pytest.mark.parametrize("version", [4, 5])
def test_persistent_sessions_are_found_again(broker, version):
    Client(broker.port, "keeper", version=version, clean=False).disconnect()
    again = Client(broker.port, "keeper", version=version, clean=False)
    assert again.session_present
    again.disconnect()


def test_a_takeover_closes_the_old_connection(broker):
    old = Client(broker.port, "same")
    Client(broker.port, "same")
    assert old.wait_closed()


def test_refusals_tell_their_code(mosquitto, tmp_path):
    broker = Broker(mosquitto, tmp_path, OPEN.replace("anonymous true", "anonymous false")).start()
    with pytest.raises(Refused) as refusal:
        Client(broker.port, "nobody")
    assert refusal.value.code == 5
    broker.stop()


def test_a_broker_that_does_not_start_says_why(mosquitto, tmp_path):
    with pytest.raises(AssertionError, match="no_such_option"):
        Broker(mosquitto, tmp_path, OPEN + "no_such_option 1\n").start()


def test_stop_kill_pause_and_restart(mosquitto, tmp_path):
    broker = Broker(mosquitto, tmp_path, OPEN + f"persistence true\npersistence_location "
                    f"{tmp_path}/\n").start()
    Client(broker.port, "a").publish("kept", "x", qos=1, retain=True)
    broker.restart(signal.SIGTERM)
    reader = Client(broker.port, "b")
    reader.subscribe("kept")
    poll(lambda: reader.ping() or reader.inbox, 5, "the retained message")
    broker.pause()
    reader.send_ping()
    with pytest.raises(TimeoutError):
        reader.read_packet(0.3)
    broker.resume()
    reader.read_packet()
    broker.restart(signal.SIGKILL)
    broker.stop()


def test_redis_can_hang_die_and_return_empty(tmp_path):
    redis = Redis(tmp_path).start()
    redis("HSET", "h", "a", "1", "b", "2")
    assert redis.hash("h") == {"a": "1", "b": "2"}
    redis.pause()
    redis.resume()
    assert redis("EXISTS", "h") == 1
    redis.kill()
    redis.start()
    assert redis("EXISTS", "h") == 0
    redis.kill()


FAULTS = {
    "address": "char *p = malloc(4); p[n + 3] = 1; free(p);",
    "undefined": "int big = 0x7fffffff; big += n; keep = (char *)0 + big;",
    "leak": "keep = malloc(77); keep = 0;",
    "thread": "pthread_t t; pthread_create(&t, 0, run, 0); race++; pthread_join(t, 0);",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_sanitizer_reports_are_seen(mosquitto, tmp_path, fault):
    """The runtime of each release reads what gcc here instrumented."""
    plugin = str(tmp_path / "presence_faulty.so")
    code = """#include <pthread.h>
        #include <stdlib.h>
        char *keep; int race;
        static void *run(void *unused) { race++; return unused; }
        int mosquitto_plugin_version(int n, const int *versions) { return 5; }
        int mosquitto_plugin_cleanup(void *data, void *options, int n) { return 0; }
        int mosquitto_plugin_init(void *id, void **data, void *options, int n)
        { (void)run; %s return 0; }""" % FAULTS[fault]
    kind = {"leak": "address", "thread": "thread"}.get(fault, "address,undefined")
    subprocess.run(["gcc", "-g", "-shared", "-fPIC", f"-fsanitize={kind}", "-Wl,-z,nodelete", "-x",
                    "c", "-", "-o", plugin], input=code, text=True, check=True)
    # One option, so that n is 1 and the compiler cannot know it.
    broker = Broker(mosquitto, tmp_path / "broker", OPEN + f"plugin {plugin}\nplugin_opt_key 1\n",
                    sanitizers_of(plugin))
    try:
        broker.start()
        broker.stop()
    except AssertionError:
        pass  # some faults end the broker at once
    assert broker.reports(), broker.log()


def test_a_sound_plugin_leaves_no_report(mosquitto, tmp_path):
    plugin = str(tmp_path / "presence_sound.so")
    code = """int mosquitto_plugin_version(int n, const int *versions) { return 5; }
        int mosquitto_plugin_cleanup(void *data, void *options, int n) { return 0; }
        int mosquitto_plugin_init(void *id, void **data, void *options, int n) { return 0; }"""
    subprocess.run(["gcc", "-g", "-shared", "-fPIC", "-fsanitize=address", "-x", "c", "-", "-o",
                    plugin], input=code, text=True, check=True)
    broker = Broker(mosquitto, tmp_path / "broker", OPEN + f"plugin {plugin}\n",
                    sanitizers_of(plugin)).start()
    client = Client(broker.port, "c")
    client.disconnect()
    start = time.monotonic()
    broker.stop()
    assert time.monotonic() - start < 10
    assert not broker.reports(), broker.log()


def test_the_broker_is_the_one_we_mean(mosquitto):
    assert mosquitto.version().startswith(mosquitto.name)
