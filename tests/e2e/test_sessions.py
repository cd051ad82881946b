# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Connections come and go, and presence says what that means; on every kind of store."""
import itertools
import json
import time

import pytest

from control import ADMIN, ask
from world import GRACE_MS, RECORD_KEYS, topic_of

WAYS = list(itertools.product([4, 5], [False, True]))  # protocol version, WebSocket


def test_a_connect_is_published_as_a_whole_record(world):
    name, before = world.name(), time.time() * 1000
    _, seen = world.online(f"agent:{name}:laptop", f"agent/{name}")
    record = seen.record
    assert list(record) == RECORD_KEYS[:-2]
    assert b"\n" not in seen.payload and not seen.retain
    assert seen.properties.get("content_type") == b"application/json"
    fixed = {"v": 1, "role": "agent", "id": name, "status": "online", "previous": "offline",
             "reason": "connect", "source": "inferred", "devices": 1, "node": "b1"}
    assert {key: record[key] for key in fixed} == fixed
    assert before - 1000 <= record["since"] <= time.time() * 1000 + 1000
    assert record["last_seen"] == record["since"]
    assert record["since"] * 1000 <= record["rev"] < 2**53
    assert world.retained()[topic_of(f"agent/{name}")] == seen.payload


def test_a_goodbye_is_offline_at_once_where_the_broker_tells(world):
    witness, witness_client = world.agent()
    subject, client = world.agent()
    mark, ended = world.observer.mark(), time.monotonic()
    witness_client.rst()
    client.disconnect()
    seen = world.observer.wait(subject, "offline", mark)
    other = world.observer.wait(witness, "offline", mark)
    record = seen.record
    assert list(record) == RECORD_KEYS[:-2]
    assert (record["reason"], record["previous"]) == (world.reason("disconnect"), "online")
    assert (record["devices"], record["source"]) == (0, "inferred")
    assert 7 * 24 * 3600 - 10 < seen.properties["message_expiry"] <= 7 * 24 * 3600
    if world.mosquitto.knows_why:  # the witness was lost first, and lingers for grace
        assert seen.record["rev"] < other.record["rev"]
    else:
        assert seen.at - ended >= GRACE_MS / 1000


@pytest.mark.parametrize("end", ["disconnect", "fin", "rst"])
def test_every_end_on_every_transport(world, end):
    mark, ended = world.observer.mark(), {}
    leaving = dict(world.agent(version=version, ws=ws) for version, ws in WAYS)
    for subject, client in leaving.items():
        ended[subject] = time.monotonic()
        getattr(client, end)()
    for subject in leaving:
        online = world.observer.wait(subject, "online", mark).record
        seen = world.observer.wait(subject, "offline", mark)
        known = "disconnect" if end == "disconnect" else "lost"
        assert seen.record["reason"] == world.reason(known)
        assert seen.record["since"] > online["since"]
        if end != "disconnect":
            assert seen.at - ended[subject] >= GRACE_MS / 1000


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_back_in_time_nobody_notices(world, end):
    subjects = [world.agent(version=version, ws=ws) for version, ws in WAYS]
    mark = world.observer.mark()
    for subject, client in subjects:
        getattr(client, end)()
        world.connect(client.client_id, ws=client.ws, version=client.version)
    world.wait_grace_over()
    for subject, _ in subjects:
        assert not world.observer.since(mark, subject)


def test_without_grace_ends_are_told_in_their_order(make_control):
    """Also where a lost connection waits for its last will, and a goodbye waits for nothing."""
    world = make_control({"grace": "0s"})
    admin = world.connect("control:panel", **ADMIN)
    for _ in range(10):
        (lost, lost_client), (left, left_client) = world.agent(), world.agent()
        sessions, mark = ask(admin, "getStats")["sessions"], world.observer.mark()
        lost_client.rst()
        assert any(ask(admin, "getStats")["sessions"] < sessions for _ in range(10000))
        left_client.disconnect()
        revs = [world.observer.wait(subject, "offline", mark).record["rev"]
                for subject in (lost, left)]
        assert revs == sorted(revs)


def test_a_connection_that_breaks_while_it_is_written_to_is_lost(world):
    """2.1 says so in another way then, sometimes."""
    publisher = world.connect("control:flood")
    gone, mark = [], world.observer.mark()
    for _ in range(20):
        subject, client = world.agent()
        client.subscribe("flood")
        for at in range(600):
            if at == 300:
                client.close()
            publisher.publish("flood", b"x" * 200)
        publisher.ping()
        gone.append(subject)
    for subject in gone:
        world.observer.wait(subject, "offline", mark, reason=world.reason("lost"))


def test_back_too_late_is_offline_and_online_again(world):
    subject, client = world.agent()
    mark = world.observer.mark()
    client.rst()
    offline = world.observer.wait(subject, "offline", mark).record
    _, online = world.online(client.client_id, subject)
    assert online.record["previous"] == "offline"
    assert online.record["since"] >= offline["since"]
    assert online.record["rev"] > offline["rev"]


def test_two_devices_of_one_subject(world):
    mark = world.observer.mark()
    subject, laptop = world.agent("laptop")
    first = world.observer.wait(subject, "online", mark).record
    name = first["id"]
    phone, seen = world.online(f"agent:{name}:phone", subject)
    assert seen.record["devices"] == 2
    assert (seen.record["since"], seen.record["previous"]) == (first["since"], "offline")
    laptop.disconnect()
    one = world.observer.wait(subject, "online", mark, devices=1, previous="offline",
                              reason=world.reason("disconnect")).record
    assert one["since"] == first["since"]
    world.never_offline(subject, mark)
    phone.disconnect()
    last = world.observer.wait(subject, "offline", mark).record
    assert (last["devices"], last["previous"]) == (0, "online")


def test_a_client_id_without_device_is_its_own_device(world):
    name = world.name()
    subject = f"admin/{name}"
    bare, _ = world.online(f"admin:{name}", subject)
    mark = world.observer.mark()
    world.connect(f"admin:{name}:phone")
    world.observer.wait(subject, "online", mark, devices=2)
    bare.disconnect()
    world.observer.wait(subject, "online", mark, devices=1)


@pytest.mark.parametrize("version", [4, 5])
def test_persistent_sessions_leave_and_return(world, version):
    subject, client = world.agent(version=version, clean=False)
    mark = world.observer.mark()
    client.disconnect()
    seen = world.observer.wait(subject, "offline", mark).record
    assert seen["reason"] == world.reason("disconnect")
    mark = world.observer.mark()
    again, _ = world.online(client.client_id, subject, version=version, clean=False)
    assert again.session_present
    # The broker ends the session it kept when the client comes back: that is nobody's end.
    world.wait_grace_over()
    assert [one.status for one in world.observer.since(mark, subject)] == ["online"]
    again.rst()
    seen = world.observer.wait(subject, "offline", mark).record
    assert seen["reason"] == world.reason("lost")


def test_a_session_given_up_at_the_end(world):
    subject, client = world.agent(version=5, clean=False)
    mark = world.observer.mark()
    client.disconnect(expiry=0)
    world.observer.wait(subject, "offline", mark, reason=world.reason("disconnect"))


@pytest.mark.parametrize("old_ws,ws", itertools.product([False, True], repeat=2))
def test_a_takeover_is_no_transition(world, old_ws, ws):
    take_over_all_ways(world, old_ws, ws)


def take_over_all_ways(world, old_ws, ws):
    taken = []
    # Connecting by WebSocket takes 2.0.x a fifth of a second: fewer ways there.
    some = ws or old_ws
    ways = itertools.product([4] if some else [4, 5], [True, False], [5] if some else [4, 5],
                             [True, False])
    for old_version, old_clean, version, clean in ways:
        subject, old = world.agent(version=old_version, clean=old_clean, ws=old_ws)
        taken.append((subject, old, dict(version=version, clean=clean, ws=ws)))
    mark = world.observer.mark()
    new = [world.connect(old.client_id, wait=False, **how) for _, old, how in taken]
    for client, (_, old, how) in zip(new, taken):
        client.wait_connack()
        assert client.session_present == (not how["clean"] and not old.clean)
    world.wait_grace_over()
    for subject, _, how in taken:
        assert not world.observer.since(mark, subject), how
        assert json.loads(world.observer.last()[topic_of(subject)])["status"] == "online"
    # The new connection is the one that counts.
    for client in new:
        client.close()
    for subject, _, how in taken:
        world.observer.wait(subject, "offline", mark)
        assert [one.status for one in world.observer.since(mark, subject)] == ["offline"], how


def test_two_connections_that_fight_for_one_client_id(world):
    subject, client = world.agent()
    mark = world.observer.mark()
    for _ in range(20):
        client = world.connect(client.client_id)
    world.wait_grace_over()
    assert not world.observer.since(mark, subject)
    client.disconnect()
    world.observer.wait(subject, "offline", mark)


def test_publishing_and_subscribing_are_no_transitions(world):
    subject, client = world.agent()
    mark = world.observer.mark()
    client.subscribe("news/#")
    client.publish("news/1", "x", qos=1)
    client.ping()
    world.fence()
    assert not world.observer.since(mark, subject)


def test_a_broken_protocol_ends_the_device(world):
    subject, client = world.agent()
    mark = world.observer.mark()
    client.socket.sendall(b"\xf7\x00")  # no such packet in 3.1.1
    client.wait_closed()
    world.observer.wait(subject, "offline", mark, reason=world.reason("protocol"))
