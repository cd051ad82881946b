# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""libpresence against real brokers: a program that uses it, told what to do through a pipe."""
import itertools
import json
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from control import FAST
from control import TOPIC as CONTROL
from servers import REPORTS, no_randomization, passwords, poll, sanitizers_of
from world import PATIENCE

STORES = ["none"]
OK, ESTATE, ENOTCONN, EUNREACHABLE, EREFUSED, ELOST, ETIMEDOUT, ECOMMAND = \
    0, -3, -4, -5, -6, -7, -8, -9
RETRY = "retry=200"


class Program:
    """A program that writes lines; ended, and looked at for what sanitizers say, in the end."""

    def __init__(self, path, *words):
        self.lines, self.errors = [], []
        command = [str(path), *map(str, words)]
        if "libtsan.so.2" in sanitizers_of(str(path)) and no_randomization():
            command = ["setarch", "-R"] + command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, bufsize=1)
        self.threads = [threading.Thread(target=self._read, args=one, daemon=True) for one in
                        ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def mark(self):
        return len(self.lines)

    def wait(self, start, mark=0, seconds=PATIENCE):
        """The first line since mark that begins so."""
        return poll(lambda: next((line for line in self.lines[mark:] if line.startswith(start)),
                                 None), seconds,
                    lambda: f"«{start}» among {self.lines[mark:]}, {self.errors}")

    def do(self, *words):
        """Has it done, and returns the number it ended with and what was written from then on."""
        mark = self.mark()
        self.process.stdin.write(" ".join(words) + "\n")
        return int(self.wait(f"did {words[0]} ", mark).split()[2]), mark

    def ask(self, *words):
        """A line that says what is known."""
        return self.lines[self.do(*words)[1]]

    def end(self):
        """Its own way, by the end of its input; and nothing may have been wrong."""
        if self.process.poll() is None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            code = self.process.wait(30)
        finally:
            self.kill()
        assert code == 0 and not self.errors, (code, self.errors, self.lines[-5:])

    def terminate(self):
        """As a service or Ctrl-C does."""
        self.process.terminate()
        self.end()

    def kill(self):
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join(5)
        assert not REPORTS.search("\n".join(self.errors)), self.errors


@pytest.fixture(scope="session")
def built(bench):
    """The folder of the plugin's build."""
    return Path(bench.plugin).parents[1]


@pytest.fixture
def program(built):
    """program(world, 'own' or 'mine', subject or None, device, words..)"""
    programs = []

    def start(world, how, subject, device="-", *words):
        role, name = subject.split("/") if subject else ("-", "-")
        programs.append(Program(built / "tests/sdk-c/sdk_c_driver", world.broker.port, how, role,
                                name, device, *words))
        return programs[-1]
    yield start
    for one in programs:
        if one.process.poll() is None:
            one.end()


def fresh(world):
    return f"agent/{world.name()}"


def wait_ready(one):
    """It has learnt of all there are: who has no record is offline."""
    poll(lambda: " offline " in one.ask("look", "agent", "nobody"), PATIENCE, "sure of nobody")


@pytest.mark.parametrize("how", ["own", "mine"])
def test_comes_says_and_goes(world, program, how):
    subject, mark = fresh(world), world.observer.mark()
    one = program(world, how, subject, "laptop")
    world.observer.wait(subject, "online", mark)
    one.wait("connection 0")
    code, at = one.do("status", "dnd", "call")
    assert code == OK
    assert one.wait("done status", at).startswith("done status 0 {}")
    world.observer.wait(subject, "dnd", mark, note="call", source="app")
    one.do("clear")
    world.observer.wait(subject, "online", mark, source="inferred")
    one.end()
    world.observer.wait(subject, "offline", mark, reason="leave")
    # No will, no birth message: those have no status. A 2.0 publishes the last record again. The
    # thread of libmosquitto itself may end before it has written the goodbye: then there is a will.
    world.fence()
    seen = [status for status, _ in
            itertools.groupby(one.status for one in world.observer.since(mark, subject)
                              if one.record or how == "own")]
    assert seen == ["online", "dnd", "online", "offline"], seen


def test_what_is_said_before_there_is_a_connection(world, program):
    subject, mark = fresh(world), world.observer.mark()
    world.broker.pause()
    one = program(world, "own", subject)
    assert one.do("status", "away", "soon")[0] == OK
    assert one.do("override", "dnd")[0] == ENOTCONN
    world.broker.resume()
    world.observer.wait(subject, "away", mark, note="soon")
    one.wait("done status 0")


def test_whoever_connected_declared_nothing(make_world, program):
    """The birth message is for brokers without the plugin: with it, inactivity still counts."""
    world = make_world(options={"away_after": "1s"})
    subject, mark = fresh(world), world.observer.mark()
    program(world, "own", subject).wait("connection 0")
    world.observer.wait(subject, "away", mark, reason="idle")


def test_answers(world, program):
    subject, mark = fresh(world), world.observer.mark()
    one = program(world, "own", subject)
    world.observer.wait(subject, "online", mark)
    one.wait("connection 0")
    at = one.do("override", "away", "lunch", "60000")[1]
    one.wait("done override 0", at)
    record = world.observer.wait(subject, "away", mark, source="manual", note="lunch").record
    assert record["until"] > time.time() * 1000
    at = one.do("kick", "agent:nobody")[1]
    line = one.wait("done kick", at)
    assert line.startswith(f"done kick {ECOMMAND} ") and "admin" in line, line
    conversation = world.name("c")
    one.do("watch-typing", conversation)
    at = one.do("typing", conversation, "1")[1]
    one.wait(f"typing {conversation} {subject} typing 1", at)
    one.do("typing", conversation, "0")
    one.wait(f"typing {conversation} {subject} typing 0", at)


def test_not_tracked_is_told(make_world, program):
    world = make_world(options={"unmatched": "ignore"})
    one = program(world, "own", "nobody/x")
    assert one.wait("problem").split()[1] in ("clearStatus", "heartbeat")


def test_an_application_with_a_connection_of_its_own(world, program):
    subject = fresh(world)
    one = program(world, "mine", subject, "d")
    one.wait("mine connect 0")
    one.wait("mine subscribed")
    one.do("watch", *subject.split("/"))
    one.wait(f"transition {subject} unknown online")
    world.connect(world.name()).publish("my/topic", "hello", qos=1)
    one.wait("mine message my/topic hello")
    assert len([line for line in one.lines if line.startswith("mine message")]) == 1
    assert len([line for line in one.lines if line == "mine subscribed"]) == 1


def test_heartbeats(make_world, program):
    """A program that hangs is offline however well its connection is, and back when it goes on."""
    world = make_world(options={"heartbeat_misses": 2})
    subject, mark = fresh(world), world.observer.mark()
    one = program(world, "own", subject, "d", "heartbeat=1000")
    world.observer.wait(subject, "online", mark)
    one.do("clear")
    one.wait("done clear 0")  # and the first heartbeat was before that
    one.process.send_signal(signal.SIGSTOP)
    world.observer.wait(subject, "offline", mark, reason="heartbeat")
    mark = world.observer.mark()
    one.process.send_signal(signal.SIGCONT)
    world.observer.wait(subject, "online", mark)


def test_a_wrong_password(make_world, program):
    folder = make_world.folder
    path = passwords(folder / "passwords", "agent.u1", "right")
    world = make_world(tail=f"password_file {path}\n", options={"identity": "username {role}.{id}"},
                       anonymous=False, start=False)
    world.broker.start()
    one = program(world, "own", "agent/u1", "d", "username=agent.u1", "password=wrong", RETRY)
    assert "not authorised" in one.wait(f"connection {EREFUSED} ")
    # It goes on trying.
    poll(lambda: len([line for line in one.lines if line.startswith(f"connection {EREFUSED} ")]) > 1,
         PATIENCE, "a second refusal")
    one.end()
    right = program(world, "own", "agent/u1", "d", "username=agent.u1", "password=right")
    right.wait("connection 0")


def test_nobody_there(world, program):
    class Nowhere:
        broker = type("", (), {"port": 1})
    one = program(Nowhere, "own", "agent/u1", "d", RETRY)
    one.wait(f"connection {EUNREACHABLE} ")
    assert one.do("stop")[0] == OK
    assert one.do("stop")[0] == OK
    assert one.do("start")[0] == OK
    assert one.do("start")[0] == ESTATE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_the_broker(make_world, program, number):
    make_world.folder.joinpath("kept").mkdir()
    world = make_world("state_file", {"restart_grace": "20s"},
                       head=f"persistence true\npersistence_location {make_world.folder}/kept/\n")
    subject, other = fresh(world), fresh(world)
    mark = world.observer.mark()
    one = program(world, "own", subject, "d", RETRY)
    world.observer.wait(subject, "online", mark)
    one.do("status", "dnd", "call")
    one.do("watch", "agent", "-")
    program(world, "own", other, "d", RETRY)
    one.wait(f"transition {other} unknown online")
    # Without a digest, which comes every 10 s, who is not told of after the start is gone.
    if number == signal.SIGTERM:
        poll(lambda: json.loads(world.stats().get("digest/agent", "{}")).get("count", 0) >= 2,
             PATIENCE, "a digest of both")
    at = one.mark()
    world.restart(number)
    one.wait(f"connection {ELOST} ", at)
    one.wait("connection 0", at)
    # What it said it says again, and what it knows is right: nobody had gone.
    assert poll(lambda: (lambda line: "dnd" in line and line)(one.ask("look", *subject.split("/"))),
                PATIENCE, "dnd again")
    world.observer.wait(subject, "dnd", note="call")
    poll(lambda: int(one.ask("look", *other.split("/")).split()[3]) / 1000 > time.time() - 1,
         PATIENCE, "sure again")
    # A broker that was killed could not keep what it had published.
    if number == signal.SIGTERM:
        assert not [line for line in one.lines[at:] if " offline " in line], one.lines[at:]


def test_a_broker_that_stands_still(make_world, program):
    """Whoever waits is told so; then the connection is given up, and comes back by itself."""
    world = make_world()
    subject, mark = fresh(world), world.observer.mark()
    one = program(world, "own", subject, "d", "keepalive=5", "timeout=1000", RETRY)
    world.observer.wait(subject, "online", mark)
    one.do("watch", "agent", "-")
    one.wait("transition")
    world.broker.pause()
    at = one.do("override", "dnd")[1]
    one.wait(f"done override {ETIMEDOUT} ", at)
    sure = one.ask("look", *subject.split("/")).split()
    assert sure[2] == "online" and int(sure[3]) / 1000 < time.time() - 0.9
    one.wait(f"connection {ELOST} ", at, seconds=20)
    one.wait(f"connection {ETIMEDOUT} ", at)
    world.broker.resume()
    one.wait("connection 0", at)
    poll(lambda: one.ask("look", *subject.split("/")).split()[2] in ("online", "dnd"), PATIENCE,
         "online again")


def test_a_takeover(world, program):
    """Two with one name: each takes it from the other, and nobody else hears of it."""
    subject, mark = fresh(world), world.observer.mark()
    one = program(world, "own", subject, "d", RETRY, "birth=none")
    world.observer.wait(subject, "online", mark)
    one.wait("connection 0")
    at = one.mark()
    other = world.connect("agent:" + subject.split("/")[1] + ":d")
    one.wait(f"connection {ELOST} ", at)
    one.wait("connection 0", at)
    assert other.wait_closed()
    world.wait_grace_over()
    world.never_offline(subject, mark)


def test_a_watcher(world, program):
    one = program(world, "own", None)
    one.wait("connection 0")
    assert one.ask("look", "agent", "x").endswith("error -10")
    one.do("watch", "agent", "-")
    wait_ready(one)
    subject, client = world.agent()
    one.wait(f"transition {subject} unknown online connect 0 1")
    assert one.ask("look", *subject.split("/")).split()[2] == "online"
    client.rst()
    one.wait(f"transition {subject} online offline")
    # A watcher is nobody: no record of it.
    assert not [topic for topic in world.retained() if "auto" in topic]
    at = one.do("unwatch", "agent", "-")[1]
    second, _ = world.agent()
    assert one.ask("look", *second.split("/")).endswith("error -10")
    one.do("watch", *second.split("/"))
    one.wait(f"transition {second} unknown online", at)
    assert len([line for line in one.lines[at:] if line.startswith("transition")]) == 1


def test_who_is_forgotten_meanwhile(make_world, program):
    """A restart of a broker that keeps nothing: who is not there any more is told. That he was in the
    digest of the boot before is no reason to be sure of him; in this one the role has none."""
    world = make_world()
    subject, _ = world.agent()
    one = program(world, "own", None, "-", RETRY)
    one.do("watch", "-", "-")
    one.wait(f"transition {subject} unknown online")
    poll(lambda: "digest/agent" in world.stats(), PATIENCE, "a digest")
    at = one.mark()
    world.restart(signal.SIGKILL)
    one.wait(f"transition {subject} online offline - 1", at)


@pytest.mark.parametrize("how", ["own", "mine"])
def test_a_broker_without_the_plugin(make_world, program, how):
    world = make_world(plugin=False)
    watcher = program(world, "own", None, "-", "timeout=500")
    watcher.wait("connection 0")
    watcher.do("watch", "agent", "-")
    one = program(world, how, "agent/u1", "d", "timeout=500")
    watcher.wait("transition agent/u1 unknown online")
    at = one.do("status", "dnd", "call")[1]
    watcher.wait("transition agent/u1 online dnd - 0 0 call")
    one.wait(f"done status {ETIMEDOUT} ", at)
    one.end()
    watcher.wait("transition agent/u1 dnd offline")
    two = program(world, how, "agent/u2", "d")
    watcher.wait("transition agent/u2 unknown online")
    two.kill()
    watcher.wait("transition agent/u2 online offline")
    wait_ready(watcher)


def test_a_watcher_that_stops_reading(make_world, program, request):
    """QoS 0 is cut where a reader is slow. The digest tells, and what was missed comes again."""
    count = int(request.config.getoption("--subjects"))
    world = make_world(options={**FAST, "subjects_max": count + 1000}, conf=(
        "user root\nlog_dest stderr\nlog_type error\nlog_type notice\nlog_type information\n"
        "log_type subscribe\nallow_anonymous true\nlistener {port} 127.0.0.1\n{plugin}"))
    one = program(world, "own", None, "-", "quiet")
    one.wait("connection 0")
    one.do("watch", "-", "-")
    wait_ready(one)
    stay = [world.connect(f"agent:{world.name('s')}:d", version=5, keepalive=0)
            for _ in range(min(count, 400))]
    for _ in range(count - len(stay)):
        world.connect(f"agent:{world.name('s')}:d", version=5).disconnect()
        world.clients.pop()
    poll(lambda: one.ask("count").startswith(f"counted {count} "), 60, lambda: one.ask("count"))

    # More changes than sockets hold; then half of them go.
    changes = json.dumps({"commands": [
        {"command": "setStatus", "status": status, "note": f"{number:0128}"}
        for number in range(32) for status in ("away", "dnd")]})
    one.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    for client in stay:
        client.publish(CONTROL, changes, qos=1)
    for client in stay[::2]:
        client.disconnect()
    poll(lambda: time.monotonic() > stopped + 3, 60, "3 s")
    one.process.send_signal(signal.SIGCONT)
    left = len(stay[1::2])
    right = f"counted {count} dnd {left} offline {count - left}"
    poll(lambda: one.ask("count") == right, 90, lambda: f"{one.ask('count')}, not {right}")
    # It had to ask again: otherwise this test shows nothing.
    assert len(re.findall("presence/[+]/[+]", world.broker.log())) > 1


def example(built, folder, name, *words):
    return Program(built / "examples" / folder / name, *words)


def test_the_examples_in_c(world, built):
    """An agent who says what it does, a device without the library, and who watches them."""
    port, name, sensor = world.broker.port, world.name(), world.name()
    watch = example(built, "watch-c", "example_watch", "127.0.0.1", port)
    agent = example(built, "agent-c", "example_agent", name, "127.0.0.1", port)
    watch.wait(f"agent/{name} unknown -> online, connect")
    agent.process.stdin.write("dnd in a call\n")
    watch.wait(f"agent/{name} online -> dnd, app: in a call")
    agent.wait("said")
    agent.process.stdin.write("nonsense\n")
    agent.wait("online, away, dnd or offline")
    device = example(built, "iot-device", "example_device", sensor, "127.0.0.1", port)
    watch.wait(f"device/{sensor} unknown -> online, connect")
    device.terminate()
    watch.wait(f"device/{sensor} online -> offline")
    agent.terminate()
    watch.wait(f"agent/{name} dnd -> offline, leave")
    watch.terminate()
    wrong = example(built, "watch-c", "example_watch", "127.0.0.1", port, "no\trole")
    assert wrong.process.wait(PATIENCE) == 1
