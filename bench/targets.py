# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Those who are measured: brokers that run at once, each with its Redis if it has one."""
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests/e2e"))

from servers import CACHE, Broker, Redis, RedisError, poll  # noqa: E402

PATIENCE = 20
STREAM = "presence:{0}:events"
WRONG = ["lost", "duplicates", "reordered", "refused"]
STANDSTILL_MS = 1500  # a generator that did nothing for so long: the machine stood still
NAIVE_ROUND_TRIPS = 3  # HSET, EXPIRE, PUBLISH, each waited for
CONF = """
user root
log_dest stderr
log_type error
log_type warning
log_type information
connection_messages false
set_tcp_nodelay true
max_queued_messages 200000
allow_anonymous true
listener {port} 127.0.0.1
"""
# Without grace a reset is published at once, by 2.0 with its next tick.
PLUGIN = """
plugin {plugin}
plugin_opt_node bench
plugin_opt_grace 0
"""


PEER = """
plugin {peers}/peer_{name}.so
"""
# Mosquitto's own, if bench/fetch-example.sh could get it.
EXAMPLE_PLUGIN = CACHE.parent / "peers/connection_state.so"


def schedstat(pid, task):
    return int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0]) / 1000


def other_threads_us(pid):
    tasks = [int(task) for task in os.listdir(f"/proc/{pid}/task")]
    return sum(schedstat(pid, task) for task in tasks if task != pid)


class Clock:
    """What is left of the time for all of it."""

    def __init__(self, seconds):
        self.began, self.seconds = time.monotonic(), seconds

    def passed(self):
        return time.monotonic() - self.began

    def left(self, spare=0):
        """Without what is wanted later."""
        return self.seconds - self.passed() - spare


class Load:
    """One slice: what the generator is asked for."""

    def __init__(self, name, cycles, rate=0, hold_ms=0, drop=False, pings=0, window=64):
        self.name, self.cycles = name, cycles
        self.words = [int(drop), cycles, rate, window, hold_ms, pings]


class Target:
    """A broker, and the Redis it writes to, if any."""

    def __init__(self, name, mosquitto, build, folder, options=""):
        self.name, self.says = name, int(name != "bare")
        self.redis = Redis(folder / "redis") if name in ("naive", "presence") else None
        conf, plugin = CONF, str(build / "plugin/mosquitto_presence.so")
        if name in ("publish-only", "naive"):
            conf += PEER.format(peers=build / "bench", name=name.split("-")[0])
        if name == "naive":
            conf += (f"plugin_opt_redis {self.redis.path}\n"
                     f"plugin_opt_round_trips {NAIVE_ROUND_TRIPS}\n")
        if name == "connection-state":
            conf += f"plugin {EXAMPLE_PLUGIN}\n"
        if name.startswith("presence"):
            conf += PLUGIN.replace("{plugin}", plugin) + options
        if name == "presence":
            conf += f"plugin_opt_redis_url {self.redis.url}\n"
        self.broker = Broker(mosquitto, folder / "broker", conf)

    def start(self):
        if self.redis:
            self.redis.start()
        self.broker.start()
        if self.name == "presence":
            poll(lambda: self.redis("HLEN", "presence:{0}:nodes"), PATIENCE,
                 lambda: "the plugin is in Redis; its log:\n" + self.broker.log())

    def close(self):
        self.broker.stop()
        if self.redis:
            self.redis.stop()

    def pids(self):
        return [server.process.pid for server in (self.broker, self.redis) if server]

    def load(self, generator, load, says=None, stall_s=0):
        """One slice. What was seen wrongly is counted under wrong; a load that could not be
        brought to its end raises. stall_s: so long Redis stands still, soon after the start."""
        words = [self.broker.port, self.broker.process.pid, self.says if says is None else says]
        before = RedisCost(self) if self.redis else None
        if stall_s:
            threading.Timer(0.3, self.redis.pause).start()
            threading.Timer(0.3 + stall_s, self.redis.resume).start()
        done = subprocess.run([generator, *map(str, words + load.words)], capture_output=True,
                              text=True, timeout=90, check=False)
        if not done.stdout:
            raise SystemExit(f"the measurement failed: {self.name}, {load.name}: {done.stderr}\n"
                             f"the broker's log:\n{self.broker.log()[-3000:]}")
        measured = {**json.loads(done.stdout), "cycles": load.cycles}
        measured["wrong"] = sum(measured[what] for what in WRONG)
        if before:
            poll(lambda: not self.redis.paused, PATIENCE, "Redis goes on")
            measured["redis"] = before.until_now(2 * load.cycles)
            measured["wrong"] += measured["redis"]["wrong"]
        return measured


class RedisCost:
    """What changes cost: with presence each is one contribution, one entry of the stream; the
    naive one has no stream and has written when the generator has seen it."""

    def __init__(self, target):
        self.target, self.redis = target, target.redis
        self.entries, self.last_id = self.stream()
        self.calls, self.script_us = self.scripts()
        self.redis_us, self.worker_us = self.cpu()
        self.bytes_in = self.net_input()

    def stream(self):
        try:
            found = self.redis("XINFO", "STREAM", STREAM)
        except RedisError:
            return 0, "0-0"
        found = dict(zip(found[::2], found[1::2]))
        return found["entries-added"], found["last-generated-id"]

    def scripts(self):
        for line in self.redis("INFO", "commandstats").splitlines():
            if line.startswith("cmdstat_evalsha:"):
                found = dict(word.split("=") for word in line.split(":")[1].split(","))
                return int(found["calls"]), int(found["usec"])
        return 0, 0

    def net_input(self):
        found = dict(line.split(":") for line in self.redis("INFO", "stats").splitlines()[1:])
        return int(found["total_net_input_bytes"])

    def cpu(self):
        redis, broker = self.redis.process.pid, self.target.broker.process.pid
        return schedstat(redis, redis), other_threads_us(broker)

    def changes(self):
        """Those since then: (when they were written, rev), each of them once. The stream tells of
        nodes too."""
        found = []
        for identifier, words in self.redis("XRANGE", STREAM, "(" + self.last_id, "+"):
            entry = dict(zip(words[::2], words[1::2]))
            if entry["t"] == "set":
                found.append((int(identifier.split("-")[0]), int(entry["rev"])))
        return found

    def until_now(self, expected):
        """What it took to write so many changes; wrong says how many are too few or too many."""
        found, entries = [], self.entries + expected

        def all_there():
            nonlocal found
            if self.stream()[0] < entries:  # quick to ask
                return False
            found = self.changes()
            return len(found) >= expected
        if self.target.name == "presence":
            try:
                poll(all_there, PATIENCE, "everything is in Redis")
            except AssertionError:
                found = self.changes()
        now = RedisCost(self.target)
        return {"contributions": expected, "scripts": now.calls - self.calls,
                "script_us": now.script_us - self.script_us,
                "redis_us": now.redis_us - self.redis_us,
                "worker_us": now.worker_us - self.worker_us,
                "bytes_in": now.bytes_in - self.bytes_in,
                # From the transition, which is when its rev was made, to its entry.
                "lags_ms": [max(0, at_ms - rev // 1000) for at_ms, rev in found],
                "wrong": abs(len(found) - expected) * (self.target.name == "presence")}


class Outside:
    """The share of the machine that goes to nobody of ours."""

    def __init__(self, targets):
        self.targets = targets
        self.busy, self.total, self.ours = self.read()

    def read(self):
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        user, nice, system, idle, iowait, _, _, steal = ticks
        hertz = os.sysconf("SC_CLK_TCK")
        ours = 0
        for pid in (pid for target in self.targets for pid in target.pids()):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ours += (int(fields[11]) + int(fields[12])) / hertz
        for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(whose)
            ours += usage.ru_utime + usage.ru_stime
        busy = (user + nice + system + steal) / hertz
        return busy, busy + (idle + iowait) / hertz, ours

    def share(self):
        busy, total, ours = self.read()
        return max(0.0, (busy - self.busy - (ours - self.ours)) / max(total - self.total, 1e-9))
