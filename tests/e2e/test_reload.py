# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""SIGHUP reads config_file again: all of it or nothing."""
import signal

import pytest

from control import ask
from mqtt import Client
from servers import poll

LONG = "grace 10min\n"


@pytest.fixture
def reloading(make_world, tmp_path):
    """A world whose grace stands in a file; reload(text) writes it and waits for the log line."""
    path = tmp_path / "presence.conf"
    path.write_text("grace 300ms\n")
    world = make_world(store="state_file", options={"config_file": path}, start=False)
    conf = world.broker.conf_path
    conf.write_text("".join(line for line in conf.read_text().splitlines(True)
                            if not line.startswith("plugin_opt_grace ")))
    world.start()

    def reload(text, answer):
        world.observer.mark()  # a broker that still reloads forgets the next signal
        path.write_text(text)
        world.broker.send_signal(signal.SIGHUP)
        return world.broker.wait_log(answer)
    world.reload = reload
    return world


def is_lost(world):
    subject, client = world.agent()
    client.rst()
    return subject


def test_what_changed_is_said_and_counts_at_once(reloading):
    mark = reloading.observer.mark()
    reloading.observer.wait(is_lost(reloading), "offline", mark)
    reloading.reload(LONG, r"now reads grace 10min; it was grace 300ms")
    lingers = is_lost(reloading)
    reloading.reload(LONG, r"nothing has changed")
    reloading.reload("grace 200ms\n", r"now reads grace 200ms; it was grace 10min")
    mark = reloading.observer.mark()
    reloading.observer.wait(is_lost(reloading), "offline", mark)
    reloading.never_offline(lingers, 0)


@pytest.mark.parametrize("text, answer", [
    ("grace 200ms\ngrase 1s\n", r"grase.*grace"),
    ("grace 5m\n", r"min"),
    ("grace 200ms\ntopic elsewhere\n", r"topic cannot change while the broker runs"),
    ("grace 200ms\nsubjects_max 0\n", r"subjects_max"),
])
def test_a_mistake_changes_nothing(reloading, text, answer):
    reloading.reload(text, answer)
    reloading.broker.wait_log("stay as they were")
    mark = reloading.observer.mark()
    reloading.observer.wait(is_lost(reloading), "offline", mark)
    # Still 300 ms, not 200: what is wrong in one line takes the others with it.
    reloading.reload("grace 250ms\n", r"now reads grace 250ms; it was grace 300ms")


def test_a_file_that_is_gone_changes_nothing(reloading, tmp_path):
    (tmp_path / "presence.conf").unlink()
    reloading.broker.send_signal(signal.SIGHUP)
    reloading.broker.wait_log(r"config_file .*cannot be read")
    reloading.broker.wait_log("stay as they were")
    mark = reloading.observer.mark()
    reloading.observer.wait(is_lost(reloading), "offline", mark)


def test_a_thousand_reloads_lose_nothing(reloading, tmp_path):
    """Agents come and go meanwhile; each transition is seen, once."""
    path = tmp_path / "presence.conf"
    expected = []
    mark = reloading.observer.mark()
    for number in range(1000):
        path.write_text(f"grace {300 + number % 2}ms\n")
        reloading.broker.send_signal(signal.SIGHUP)
        if number % 10 == 0:
            subject, client = reloading.agent(ws=number % 20 == 0)
            client.disconnect()
            expected.append(subject)
    for subject in expected:
        reloading.observer.wait(subject, "offline", mark)
    for subject in expected:
        seen = [one.status for one in reloading.observer.since(mark, subject)]
        assert seen == ["online", "offline"], (subject, seen)
    assert poll(reloading.broker.alive, 1, "a broker that is alive")
    reloading.wait_agreement()


@pytest.mark.parametrize("ws", [False, True])
def test_nobody_comes_or_goes_by_a_reload(reloading, ws):
    """2.0 asks all plugins again about everybody it knows: who is connected, and who has a session
    but no connection."""
    subjects, mark = {}, reloading.observer.mark()
    for how in ("kept", "left", "declared", "there"):
        subjects[how], client = reloading.agent(ws=ws, version=4, clean=how != "kept")
        if how == "kept":
            client.subscribe("x", 1)
            client.rst()
        elif how == "left":
            ask(client, "leave")
        elif how == "declared":
            ask(client, "setStatus", status="offline")
    for how in ("kept", "left", "declared"):
        reloading.observer.wait(subjects[how], "offline", mark)
    mark = reloading.observer.mark()
    reloading.reload(LONG, r"now reads grace 10min")
    reloading.fence()
    for subject in subjects.values():
        assert not reloading.observer.since(mark, subject)


@pytest.mark.parametrize("ws", [False, True])
def test_who_comes_while_it_reloads_is_there(reloading, ws):
    """Its CONNECT waits when the broker hears the signal. 2.0 asks about a WebSocket's in the same
    turn of the loop in which it asks about everybody it knows."""
    class Coming(Client):
        def _send_connect(self, *how):
            reloading.broker.send_signal(signal.SIGSTOP)
            super()._send_connect(*how)
            for number in (signal.SIGHUP, signal.SIGCONT):
                reloading.broker.send_signal(number)

    broker, mark = reloading.broker, reloading.observer.mark()
    for _ in range(5):
        name = reloading.name()
        client = Coming(broker.ws_port if ws else broker.port, f"agent:{name}:d", ws=ws)
        reloading.observer.wait(f"agent/{name}", "online", mark)
        client.disconnect()
