# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The broker goes and comes back. Who returns in time was never away; the others are offline."""
import itertools
import json
import signal
import time

import pytest

from servers import poll
from world import topic_of

RESTART_GRACE = 3


def make(make_world, store, persistence, **how):
    location = make_world.folder / "persistence"
    location.mkdir(exist_ok=True)
    lines = f"persistence {'true' if persistence else 'false'}\n"
    if persistence:
        lines += f"persistence_location {location}/\n"
    return make_world(store=store, head=lines, options={
        "restart_grace": f"{int(RESTART_GRACE * 1000)}ms", "node_lease": "2s", "redis_ttl": "6s"},
        **how)


def wait_stored(world):
    """Until the store has all that was seen. A state file has no question to ask but itself."""
    if world.redis:
        world.wait_agreement()
    else:
        poll(world.state_file_agrees, 5, "all of it in the state file")


@pytest.mark.parametrize("store,number,persistence", itertools.product(
    ["state_file", "redis"], [signal.SIGTERM, signal.SIGKILL], [True, False]))
def test_who_returns_was_never_away(make_world, store, number, persistence):
    world = make(make_world, store, persistence)
    past, client = world.agent()
    client.disconnect()
    past_record = world.observer.wait(past, "offline").record
    backs = [world.agent(clean=clean, version=version)
             for clean, version in itertools.product([True, False], [4, 5])]
    before = {subject: world.observer.wait(subject, "online").record for subject, _ in backs}
    gone, gone_client = world.agent()
    _, kept = world.agent(clean=False)
    double, laptop = world.agent("laptop")
    name = double.split("/")[1]
    world.connect(f"agent:{name}:phone")
    world.observer.wait(double, "online", devices=2)
    wait_stored(world)

    start = time.monotonic()
    assert world.restart(number) < 3
    for subject, old in backs:
        world.connect(old.client_id, version=old.version, clean=old.clean)
    world.connect(laptop.client_id)
    for subject, _ in backs:
        # A client may be quicker than the store; what is said of it then is corrected.
        seen = world.observer.wait_for(
            lambda one, topic=topic_of(subject), old=before[subject]:
            one.topic == topic and one.record["rev"] > old["rev"]
            and one.record["since"] == old["since"], f"{before[subject]}, newer")
        assert (seen.status, seen.record["devices"]) == ("online", 1)
        assert seen.record["previous"] == "offline"
    for subject in [gone, "agent/" + kept.client_id.split(":")[1]]:
        seen = world.observer.wait(subject, "offline", seconds=RESTART_GRACE + 20)
        assert seen.record["reason"] == "broker_restart"
        assert seen.record["previous"] == "online"
    assert seen.at - start >= RESTART_GRACE
    again = world.observer.wait(past, "offline", since=past_record["since"])
    assert again.record["reason"] == past_record["reason"]
    world.observer.wait(double, "online", devices=1)
    world.wait_grace_over()
    for subject in list(before) + [double]:
        world.never_offline(subject, 0)
    # Retained is corrected, whatever the broker had kept of it.
    retained = {topic: json.loads(payload) for topic, payload in world.retained().items()}
    for subject in before:
        assert retained[topic_of(subject)]["status"] == "online"
    assert retained[topic_of(gone)]["status"] == "offline"
    assert retained[topic_of(past)]["since"] == past_record["since"]
    if world.redis:
        world.wait_agreement()
    gone_client.close()


@pytest.mark.parametrize("store", ["state_file", "redis"])
def test_two_crashes_in_a_row(make_world, store):
    """Nobody is judged by the first restart; the second still knows them."""
    world = make(make_world, store, False)
    back, client = world.agent()
    gone, _ = world.agent()
    since = world.observer.wait(back, "online").record["since"]
    wait_stored(world)
    world.restart(signal.SIGKILL)
    world.fence()
    world.restart(signal.SIGKILL)
    world.connect(client.client_id)
    world.observer.wait(back, "online", since=since)
    world.observer.wait(gone, "offline", reason="broker_restart", seconds=RESTART_GRACE + 20)
    world.never_offline(back, 0)


def test_redis_answers_long_after_the_restart(make_world):
    """Nobody who was there, and came back, is ever shown offline; the others are as soon as it is
    known that they had been there."""
    world = make(make_world, "redis", False)
    back, client = world.agent()
    gone, _ = world.agent()
    since = world.observer.wait(back, "online").record["since"]
    wait_stored(world)
    world.broker.kill()
    world.redis.pause()
    world.drop_clients()
    start = time.monotonic()
    world.start()
    world.online(client.client_id, back)
    while time.monotonic() - start < RESTART_GRACE + 0.5:
        world.fence()
    assert not world.observer.since(0, gone)
    world.redis.resume()
    world.observer.wait(gone, "offline", reason="broker_restart", seconds=15)
    world.observer.wait(back, "online", since=since)
    world.never_offline(back, 0)
    world.wait_agreement(15)


def test_without_a_store_nothing_is_known_of_the_last_boot(make_world):
    world = make(make_world, "none", True)
    world.agent()
    world.restart(signal.SIGTERM)
    world.fence()
    assert world.broker.alive()


def test_a_state_file_that_is_no_database(make_world):
    world = make_world(store="state_file", start=False)
    world.state_file.write_text("this is not a database" * 100)
    world.start()
    subject, client = world.agent()
    client.disconnect()
    world.observer.wait(subject, "offline")
    poll(world.state_file_agrees, 5, "all of it in a new state file")
    aside, = world.folder.glob("state.db.corrupt-*")
    assert aside.read_text().startswith("this is not a database")
    world.broker.wait_log(aside.name)


def test_a_state_file_in_a_folder_that_is_not_there(make_world):
    world = make_world(options={"state_file": make_world.folder / "no/such/state.db"})
    world.agent()
    world.broker.wait_log("presence: .*no/such/state.db")


@pytest.mark.parametrize("store", ["none", "state_file", "redis"])
def test_a_shutdown_is_quick_and_sets_nobody_offline(make_world, store):
    world = make_world(store=store)
    subject, _ = world.agent()
    mark = world.observer.mark()
    assert world.broker.stop() < 3
    world.observer.thread.join(5)
    world.never_offline(subject, mark)


def ping_all(clients):
    for client in clients:
        try:
            client.send_ping()
        except OSError:
            pass  # thrown out


def test_a_stall_of_the_broker_is_nobodys_end(make_world):
    """Stopped for longer than their keepalive. Half of the clients went on pinging, what the
    others sent was lost; whether the broker first reads or first looks for the silent is up to
    it."""
    world = make_world(options={"grace": "0"})
    people = [world.agent(keepalive=1, version=version) for version in (4, 5) * 3]
    clients = [client for _, client in people]
    gone, gone_client = world.agent(keepalive=1)
    mark = world.observer.mark()
    world.broker.pause()
    # 2.0.11 looks for the silent every six seconds.
    end = time.monotonic() + (7 if world.mosquitto.old_tick else 4)
    while time.monotonic() < end:
        ping_all(clients[::2])
        time.sleep(0.5)  # while the broker stands still there is nothing to wait for
    world.broker.resume()
    while not gone_client.wait_closed(0.3):
        ping_all(clients)
    for client in clients:  # those that were thrown out with it, or were not
        world.connect(client.client_id)
    world.observer.wait(gone, "offline", mark, reason=world.reason("keepalive"), seconds=15)
    for subject, _ in people:
        world.never_offline(subject, mark)
