# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The broker restarts and everybody comes back at once; or it stands still, and throws them out.
Nobody is shown gone who came back, and Redis and watchers are fed at a pace they can bear."""
import selectors
import signal
import socket
import struct
import time
from pathlib import Path

import pytest

from control import ask
from ledger import OPTIONS
from mqtt import Client, text, varint
from servers import poll

AT_ONCE = 200  # connects under way: Mosquitto listens with a backlog of 100


def connect_packet(name, keepalive=60):
    body = text("MQTT") + struct.pack(">BBH", 4, 2, keepalive) + text(name)
    return b"\x10" + varint(len(body)) + body


class Storm:
    """So many connections from one thread."""

    def __init__(self, port, count):
        self.port, self.names = port, [f"storm{number}" for number in range(count)]
        self.sockets = []

    def connect(self, keepalive=60):
        """As fast as the broker lets them in; returns how long it took."""
        start, selector, waiting = time.monotonic(), selectors.DefaultSelector(), list(self.names)
        under_way = 0
        while waiting or under_way:
            while waiting and under_way < AT_ONCE:
                one = socket.create_connection(("127.0.0.1", self.port), 20)
                one.sendall(connect_packet(f"device:{waiting.pop()}:d", keepalive))
                selector.register(one, selectors.EVENT_READ)
                self.sockets.append(one)
                under_way += 1
            for key, _ in selector.select(20):
                assert key.fileobj.recv(4) == b"\x20\x02\x00\x00", "not let in"
                selector.unregister(key.fileobj)
                under_way -= 1
        return time.monotonic() - start

    def close(self):
        for one in self.sockets:
            one.close()
        self.sockets = []


def waited_s(pid):
    """How long the machine let the broker's loop wait for a processor: when it takes one away in the
    middle of a callback, that is in the slowest callback, too."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return float("nan")


def peak_pace(seen):
    """The most records in any second."""
    times = sorted(one.at for one in seen)
    most = first = 0
    for last, at in enumerate(times):
        while times[first] < at - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("store", ["redis", "state_file"])
@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_everybody_comes_back_after_a_restart(make_world, request, figures, store, how):
    """A11 B3 B4"""
    count = int(request.config.getoption("--crowd"))
    world = make_world(store=store, head="max_connections -1\n", options={
        **OPTIONS, "grace": "3s", "restart_grace": "120s", "node_lease": "10s"})
    storm = Storm(world.broker.port, count)
    storm.connect()
    admin = Client(world.broker.port, "admin:books:d", version=5, keepalive=0)
    poll(lambda: int(ask(admin, "getStats")["subjects"]) >= count, 120, "everybody is there")
    poll(lambda: int(ask(admin, "getStats")["queue"]) == 0, 120, "all is written")
    world.broker.stop(getattr(signal, how))
    storm.close()
    world.drop_clients()
    world.start()
    back = storm.connect()
    admin = Client(world.broker.port, "admin:books:d", version=5, keepalive=0)
    start, deepest = time.monotonic(), 0

    def settled():
        nonlocal deepest
        stats = ask(admin, "getStats")
        deepest = max(deepest, int(stats["queue"]))
        return int(stats["queue"]) == 0 and int(stats["sessions"]) >= count
    poll(settled, 120, "all is written again")
    said = [f"presence/device/{name}" for name in storm.names]
    poll(lambda: len({one.topic for one in world.observer.since(0)}) >= count, 120,
         "everybody was said")
    took = time.monotonic() - start
    seen = [one for one in world.observer.since(0) if one.topic.startswith("presence/device/")]
    flaps = [one for one in seen if one.status == "offline"]
    assert not flaps, flaps[:3]
    retained = world.retained("presence/device/#")
    wrong = [topic for topic in said if b'"status":"online"' not in retained.get(topic, b"")]
    if world.redis:
        assert world.redis("ZCARD", world.key("online:device")) == count
        wrong += [name for name in storm.names[::max(1, count // 500)]
                  if world.redis_record(f"device/{name}").get("status") != "online"]
    assert not wrong, wrong[:3]
    slowest = int(ask(admin, "getStats")["callback_max_us"]) / 1000
    figures(f"A11: {count} back in {back:.1f} s, shown offline 0, wrong final states 0, settled "
            f"{took:.1f} s later, at most {peak_pace(seen)} records a second to a watcher, queue "
            f"{deepest} at most, slowest callback {slowest:.1f} ms, waited for a processor "
            f"{waited_s(world.broker.process.pid):.1f} s in all")
    storm.close()
    admin.close()


@pytest.mark.short
def test_a_stall_longer_than_keepalive(make_world, chance, request, figures):
    """B6: the broker is stopped; when it goes on it throws out many who did nothing wrong. They
    come back, and nobody was shown gone."""
    count = min(500, int(request.config.getoption("--crowd")))
    world = make_world(store="redis", options={**OPTIONS, "node_lease": "10s"})
    storm = Storm(world.broker.port, count)
    storm.connect(keepalive=2)
    for name in storm.names:
        world.observer.wait(f"device/{name}", "online", seconds=60)
    mark = world.observer.mark()
    world.broker.pause()
    # 2.0.11 looks for the silent every six seconds.
    end = time.monotonic() + (9 if world.mosquitto.old_tick else 5)
    while time.monotonic() < end:
        time.sleep(0.1)  # while the broker stands still there is nothing to wait for
    world.broker.resume()
    again = Storm(world.broker.port, count)
    back = again.connect(keepalive=0)
    storm.close()
    world.fence()
    flaps = [one for one in world.observer.since(mark)
             if one.topic.startswith("presence/device/") and one.status == "offline"]
    admin = Client(world.broker.port, "admin:books:d", version=5, keepalive=0)
    stats = ask(admin, "getStats")
    assert int(stats["stalls"]) >= 1
    assert not flaps, flaps[:3]
    poll(lambda: world.redis("ZCARD", world.key("online:device")) == count, 30, "all in Redis")
    figures(f"B6: {count} thrown out or not, back {back:.1f} s after the stall, shown offline 0, "
            f"stalls {stats['stalls']}, slowest callback {int(stats['callback_max_us']) / 1000} ms")
    again.close()
    admin.close()
