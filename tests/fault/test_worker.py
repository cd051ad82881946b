# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The worker of a store stands still: in a call that does not come back, or in the search for the
address of Redis. Presence over MQTT knows nothing of it; the operator does; it goes on where it
was."""
import os
import socket
import struct
import subprocess
import threading

import pytest

from ledger import OPTIONS, Books, Crowd
from preloaded import Preloaded
from servers import poll
from test_health import says

STUCK = "presence: the worker that writes to {} has been stuck"
REFUSE, SILENT, ANSWER = "refuse", "silent", "answer"
A, NO_SUCH_NAME = 1, 3
STOP_SECONDS = 15  # less than the search for an address takes, by far more than a stop does


class Hang(Preloaded):
    """What hanging_worker.c obeys."""

    def __init__(self, folder):
        super().__init__(folder, "hanging_worker", "PRESENCE_HANG", 2)

    def begin(self):
        self.write(0, 1)

    def end(self):
        self.write(0, 0)

    @property
    def hangs(self):
        return self.number(1) > 0


@pytest.mark.parametrize("store", [pytest.param("redis", marks=pytest.mark.short), "state_file"])
def test_a_worker_hangs(bench, make_world, presencectl, chance, figures, tmp_path, store):
    """E4: its lease lapses, the broker goes on, and it is said once."""
    if bench.sanitizers:
        pytest.skip("sanitizers have to be loaded first")
    world = make_world(store=store, start=False, options=OPTIONS)
    hang = Hang(tmp_path)
    hang.preload(world)
    world.start()
    crowd = Crowd(world, chance)
    books = Books(world, crowd)
    crowd.run(100)
    poll(lambda: int(books.stats()["queue"]) == 0, 20, "all is written")
    stalls = books.stats()["stalls"]
    hang.begin()
    crowd.declare(next(iter(crowd.clients)))
    poll(lambda: hang.hangs, 20, "the worker hangs")
    crowd.run(100)
    name = {"redis": "Redis"}.get(store, store)
    world.broker.wait_log(STUCK.format(name))
    crowd.run(100)
    says(presencectl, world, "queue", "warn", "behind")
    if world.redis:
        assert books.stats()["redis/state"] == "connecting"
        assert not world.redis("EXISTS", world.key("lease:b1")), "nobody renews it"
    assert int(books.stats()["lag_ms"]) >= 5000
    assert books.stats()["stalls"] == stalls, "the broker's loop stood still too"
    hang.end()
    books.heal()
    crowd.run(20)
    figures("E4: " + books.balance())
    assert world.broker.log().count("has been stuck") == 1
    poll(lambda: int(books.stats()["lag_ms"]) < 5000, 20, "it has caught up")
    if store == "state_file":
        poll(world.state_file_agrees, 20, "all of it in the state file")


class Resolver:
    """A name server on an address of this machine that nobody else uses. One name exists, and only
    while it is told to answer."""

    def __init__(self):
        self.address = f"127.53.{os.getpid() // 250 % 250 + 1}.{os.getpid() % 250 + 1}"
        self.does, self.asked = REFUSE, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.bind((self.address, 53))
        except OSError as why:
            self.socket.close()
            pytest.skip(f"no name server here: {why}")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                question, who = self.socket.recvfrom(1500)
            except OSError:
                return
            self.asked += 1
            if self.does != SILENT:
                self._answer(question, who)

    def _answer(self, question, who):
        end = question.index(b"\0", 12) + 5  # the name, its type and class
        kind, = struct.unpack(">H", question[end - 4:end - 2])
        found = self.does == ANSWER and kind == A
        code = NO_SUCH_NAME if self.does == REFUSE else 0
        answer = question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, found, 0, 0)
        answer += question[12:end]
        if found:
            answer += struct.pack(">HHHIH", 0xC00C, A, 1, 0, 4) + socket.inet_aton("127.0.0.1")
        self.socket.sendto(answer, who)

    def alone(self, world, folder):
        """The broker asks nobody else: files of its own, seen by it alone."""
        files = {"resolv.conf": f"nameserver {self.address}\noptions timeout:3 attempts:10\n",
                 "nsswitch.conf": "hosts: files dns\n"}
        for name, text in files.items():
            (folder / name).write_text(text)
        script = "".join(f"mount --bind {folder / name} /etc/{name} && " for name in files)
        wrapper = ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh"]
        probe = subprocess.run([*wrapper, "true"], capture_output=True, text=True, check=False)
        if probe.returncode:
            pytest.skip(f"no files of its own: {probe.stderr.strip()}")
        launch = world.broker.launch
        world.broker.launch = lambda command, more=None: launch([*wrapper, *command], more)

    def wait_asked(self):
        before = self.asked
        poll(lambda: self.asked > before, 40, "the name server is asked")

    def close(self):
        self.socket.close()


def test_a_name_that_is_not_resolved(make_world, presencectl, chance, figures, tmp_path):
    """C21: the name server does not know Redis' host, then it does not answer, then it does; and it
    falls silent before the broker is stopped."""
    resolver = Resolver()
    world = make_world(store="redis", start=False, options=OPTIONS)
    world.broker.conf_path.write_text(world.broker.conf_path.read_text().replace(
        world.redis.url, f"redis://redis.presence.test:{world.redis.port}"))
    resolver.alone(world, tmp_path)
    try:
        world.start()
        crowd = Crowd(world, chance)
        books = Books(world, crowd)
        world.broker.wait_log("presence: .*the host name is not known")
        crowd.run(100)
        resolver.does = SILENT
        resolver.wait_asked()
        crowd.run(100)
        world.broker.wait_log(STUCK.format("Redis") + ".*name server")
        says(presencectl, world, "redis", "fail", "not in step")
        crowd.run(100)
        resolver.does = ANSWER
        books.heal()
        crowd.run(20)
        line = books.balance()
        stats = books.stats()
        assert int(stats["stalls"]) == 0, "the broker's loop stood still"
        resolver.does = SILENT
        world.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        resolver.wait_asked()
        took = world.broker.stop(seconds=STOP_SECONDS)
        figures(f"C21: {line}, a turn of the loop took {stats['tick_gap_max_ms']} ms at most, "
                f"stopped in {took:.1f} s while nobody answered")
        world.broker.wait_log("presence: not all that changed last was written")
    finally:
        resolver.close()
