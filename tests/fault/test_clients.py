# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Something breaks between the broker and its clients, or they mean no good."""
import os
import socket
import struct
import time

import pytest

import mqtt
from cable import Cable
from ledger import OPTIONS, Books, Crowd
from mqtt import Client, Closed, Refused, text, varint
from proxy import DOWN, UP, Proxy
from servers import PORTS, poll
from world import topic_of


class Through:
    """Clients whose connections go another way than over loopback."""

    def __init__(self, monkeypatch, host):
        self.monkeypatch, self.host = monkeypatch, host

    def connect(self, *args, **how):
        original = socket.create_connection
        with self.monkeypatch.context() as patch:
            patch.setattr(mqtt.socket, "create_connection", lambda address, *rest:
                          original((self.host, address[1]), *rest))
            return Client(*args, **how)


def cabled(make_world, cable, **options):
    return make_world(options={**OPTIONS, **options},
                      tail=f"listener {PORTS.free()} {cable.near}\n")


def cable_port(world):
    import re
    return int(re.findall(r"listener (\d+) 10\.", world.broker.conf_path.read_text())[0])


@pytest.mark.short
def test_a_cable_is_pulled(make_world, monkeypatch, figures):
    """A3: nobody hears of it but by silence. Keepalive 2: after three seconds, and what the broker
    takes to look."""
    with Cable() as cable:
        world = cabled(make_world, cable)
        through = Through(monkeypatch, cable.near)
        names = [world.name("far") for _ in range(10)]
        clients = cable.connect_from_there(lambda: [
            through.connect(cable_port(world), f"device:{name}:d", keepalive=2) for name in names])
        for name in names:
            world.observer.wait(f"device/{name}", "online")
        for client in clients:
            client.ping()
        mark, start = world.observer.mark(), time.monotonic()
        cable.pull()
        seen = [world.observer.wait(f"device/{name}", "offline", mark, seconds=40,
                                    reason=world.reason("keepalive")) for name in names]
        took = sorted(one.at - start for one in seen)
        figures(f"A3: noticed after {took[0]:.1f} to {took[-1]:.1f} s with keepalive 2 s")
        assert took[0] > 1.5, "before any keepalive was over"
        cable.plug()
        for client in clients:
            client.close()


def test_back_by_another_way_while_the_old_connection_is_dead(make_world, monkeypatch, figures):
    """A5: the broker still holds the connection of the pulled cable; the new one takes its place."""
    with Cable() as cable:
        world = cabled(make_world, cable, grace="5s")
        through = Through(monkeypatch, cable.near)
        names = [world.name("roamer") for _ in range(20)]
        old = cable.connect_from_there(lambda: [
            through.connect(cable_port(world), f"device:{name}:d", keepalive=600)
            for name in names])
        for name in names:
            world.observer.wait(f"device/{name}", "online")
        mark = world.observer.mark()
        cable.pull()
        for name in names:
            world.connect(f"device:{name}:d")
        world.fence()
        cable.plug()
        for client in old:
            client.close()
        world.fence()
        for name in names:
            world.never_offline(f"device/{name}", mark)
        found = world.retained("presence/device/#")
        assert all(b'"online"' in found[topic_of(f"device/{name}")] for name in names)
        figures("A5: 20 came back, nobody was shown offline")


@pytest.fixture
def proxied(make_world, chance):
    world = make_world(store="redis", options=OPTIONS)
    proxy = Proxy(world.broker.port, chance.random(), port=PORTS.free())
    yield world, proxy
    proxy.close()


def test_slow_and_uneven(proxied, chance, figures):
    """C6 on the other side: late is late, and in order."""
    world, proxy = proxied
    proxy.delay, proxy.jitter, proxy.rate = 0.02, 0.05, 20000
    crowd = Crowd(world, chance, size=10, port=proxy.address)
    books = Books(world, crowd)
    crowd.run(80)
    books.heal()
    figures("A: " + books.balance())
    crowd.close()


@pytest.mark.parametrize("how", ["reset", "up", "down", "both"])
def test_ways_to_lose_a_connection(proxied, chance, figures, how):
    """A2: reset at once, or half closed, from either side."""
    world, proxy = proxied
    crowd = Crowd(world, chance, size=10, port=proxy.address)
    books = Books(world, crowd)
    for one in crowd.ids:
        crowd.connect(one)
    mark = world.observer.mark()
    if how == "reset":
        proxy.reset()
    else:
        for direction in {"up": [UP], "down": [DOWN], "both": [UP, DOWN]}[how]:
            proxy.half_close(direction)
    if how == "down":
        for one in crowd.ids:  # the broker cannot know before the client closes too
            crowd.clients[one].close()
    books.heal()
    for one in crowd.ids:
        crowd.act(one, "offline")
        world.observer.wait(crowd.subject(one), "offline", mark, seconds=40)
    figures("A2: " + books.balance())
    crowd.close()


def test_bits_turn(proxied, chance, figures):
    """What clients send arrives garbled: some are thrown out, some become somebody else. Who is
    there in truth stays, and nothing stays of the others once they are gone."""
    world, proxy = proxied
    stayer, _ = world.agent()
    mark = world.observer.mark()
    proxy.flips[UP] = proxy.flips[DOWN] = 0.3
    for number in range(150):
        try:
            client = Client(proxy.address, f"device:{world.name('bit')}:d", wait=False)
            client.socket.settimeout(5)
            client.publish("presence/device/x", "away")
            client.send_ping()
        except OSError:
            pass
        world.clients.append(client)
    world.fence()
    assert proxy.flipped
    for client in world.clients[1:]:
        client.close()
    proxy.close()
    world.never_offline(stayer, mark)

    def online():
        return [topic for topic, payload in world.retained("presence/device/#").items()
                if b'"status":"offline"' not in payload]
    poll(lambda: not online(), 40, lambda: f"online: {online()}")
    world.fence()
    world.wait_agreement(40)
    figures(f"A12: {proxy.flipped} bits turned, wrong final states 0")


def resident(world):
    with open(f"/proc/{world.broker.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def connect_packet(name, password=None):
    flags, tail = 2, text(name)
    if password is not None:
        flags, tail = flags | 0xc0, tail + text("somebody") + text(password)
    body = text("MQTT") + struct.pack(">BBH", 4, flags, 60) + tail
    return b"\x10" + varint(len(body)) + body


def test_a_flood_of_connections_that_do_not_wait(make_world, figures):
    """A9: CONNECT, then RST before any answer, 10,000 times. Nothing of it stays."""
    world = make_world(options=OPTIONS)
    stayer, _ = world.agent()
    mark, before = world.observer.mark(), None
    for number in range(11000):
        if number == 1000:
            world.fence()
            before = resident(world)
        with socket.create_connection(("127.0.0.1", world.broker.port), 20) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.sendall(connect_packet(f"device:flood{number % 50}:d"))
    world.fence()
    world.wait_grace_over()
    world.never_offline(stayer, mark)
    left = [topic for topic, payload in world.retained("presence/device/#").items()
            if b'"status":"offline"' not in payload]
    grown = resident(world) - before
    figures(f"A9: 10,000 connections, {grown / 1e6:.1f} MB grown, wrong final states {len(left)}")
    assert not left and grown < 8e6


def test_ten_thousand_failed_logins_with_a_victims_id(make_world, figures, tmp_path):
    """A8: and the victim is there, and nothing was said about it."""
    from servers import passwords
    path = passwords(tmp_path / "passwords", "admin.root", "right")
    world = make_world(options=OPTIONS, tail=f"password_file {path}\n")
    subject, client = world.agent()
    mark, count = world.observer.mark(), 10000
    packet = connect_packet(client.client_id, "wrong")
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", world.broker.port), 20) as one:
            one.sendall(packet)
            one.recv(4)
    world.fence()
    client.ping()
    assert not world.observer.since(mark, subject)
    figures(f"A8: {count} failed logins, 0 records of the victim")


@pytest.mark.short
def test_packets_that_are_none(make_world, chance, figures):
    """A12 S6: what a stranger may send instead of MQTT; the broker goes on, as does presence."""
    world = make_world(options=OPTIONS)
    stayer, _ = world.agent()
    mark = world.observer.mark()
    sound = connect_packet("device:odd:d")
    bodies = [sound + sound, sound[:7], b"\x10\xff\xff\xff\x7f", b"\x00" * 100,
              connect_packet("x" * 65535), connect_packet("a\x00b"), connect_packet("device:\x1b[2J:d"),
              connect_packet(b"device:\xc0\xaf:d"), connect_packet(b"device:\xed\xa0\x80:d"),
              connect_packet("device:x\r\nSET a b:d"), connect_packet("device:%n%s:d"),
              connect_packet("device:" + "y" * 300 + ":d"), connect_packet("")]
    bodies += [bytes(byte ^ (1 << chance.randrange(8)) if chance.random() < 0.1 else byte
                     for byte in sound) for _ in range(300)]
    for body in bodies:
        try:
            with socket.create_connection(("127.0.0.1", world.broker.port), 20) as one:
                one.sendall(body)
                one.shutdown(socket.SHUT_WR)
                while one.recv(4096):
                    pass
        except OSError:
            pass
    world.fence()
    world.never_offline(stayer, mark)
    world.wait_agreement(40)
    assert "\x1b" not in "".join(line for line in world.broker.log().splitlines()
                                 if "presence: " in line)
    figures(f"A12 S6 S10 S14: {len(bodies)} odd beginnings, wrong final states 0")
