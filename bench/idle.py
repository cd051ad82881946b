# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Nothing happens: what a broker with many who are online asks of Redis. Takes a third of redis_ttl,
in which each of them is refreshed once, and next to no CPU: it may go beside other measurements."""
import json
import subprocess
import threading
import time

from targets import PATIENCE, Load, Target
from servers import poll  # noqa: E402  (targets says where it is)

ONLINE = [1000, 10000]
SETTLE_S, SPARE_S = 2, 6
OURS = {"info", "zcard", "xinfo|stream", "hlen", "ping"}  # what we ask ourselves


def commands_of(redis):
    """name -> how often it was called, by scripts as well."""
    found = {}
    for line in redis("INFO", "commandstats").splitlines()[1:]:
        name, _, words = line.removeprefix("cmdstat_").partition(":")
        found[name] = int(words.split(",")[0].removeprefix("calls="))
    return found


class Idle:
    """A broker, its Redis, and so many devices that stay until everybody was refreshed."""

    def __init__(self, online, mosquitto, build, folder, ttl_s, is_over):
        self.online, self.seconds, self.is_over = online, ttl_s / 3 + 1, is_over
        self.target = Target("presence", mosquitto, build, folder, f"plugin_opt_redis_ttl {ttl_s}s\n")
        hold_s = SETTLE_S + self.seconds + SPARE_S
        self.load = Load("idle", online, hold_ms=int(1000 * hold_s), drop=True)
        self.generator = build / "bench/broker_bench"
        self.is_settled = threading.Event()

    def measure(self):
        """None: the machine is too slow."""
        self.target.start()
        try:
            return self._measure()
        finally:
            self.target.close()

    def pause(self, seconds):
        assert not self.is_over.wait(seconds), "given up"

    def are_online(self):
        return self.target.redis("ZCARD", "presence:{0}:online:agent")

    def _measure(self):
        broker, redis = self.target.broker, self.target.redis
        words = [self.generator, broker.port, broker.process.pid, 1, *self.load.words]
        with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE,
                              text=True) as generator:
            try:
                poll(lambda: self.are_online() == self.online, 2 * PATIENCE, "all are in Redis")
                self.pause(SETTLE_S)
                self.is_settled.set()
                before, began = commands_of(redis), time.monotonic()
                self.pause(self.seconds)
                after, took = commands_of(redis), time.monotonic() - began
                gone = self.online - self.are_online()
                seen = json.loads(generator.communicate(timeout=90)[0])
            finally:
                generator.kill()
        made = {name: after[name] - before.get(name, 0) for name in after if name not in OURS}
        wrong = sum(seen[what] for what in ("lost", "duplicates", "reordered", "refused"))
        if gone and not wrong:
            return None  # it took too long until they were there: they have left, as they should
        scripts = made.pop("evalsha", 0)
        # Each that is refreshed is looked at with one HMGET, and so is the node by each script.
        refreshed = made.get("hmget", 0) - scripts
        leases = made.get("set", 0)
        return {"online": self.online, "scripts_s": scripts / took, "leases_s": leases / took,
                "refreshed": refreshed / max(1, scripts - leases),
                "inner_s": sum(made.values()) / took,
                "wrong": wrong + max(0, self.online - refreshed)}


class Idles:
    """One of each size, at the same time, while something else goes on: with it begun, all
    their devices are there."""

    def __init__(self, mosquitto, build, folder, ttl_s):
        self.is_over = threading.Event()
        self.idles = [Idle(online, mosquitto, build, folder / f"idle-{online}", ttl_s,
                           self.is_over) for online in ONLINE]
        self.found, self.failed = [None] * len(ONLINE), []
        self.threads = [threading.Thread(target=self._run, args=(place,))
                        for place in range(len(ONLINE))]

    def _run(self, place):
        try:
            self.found[place] = self.idles[place].measure()
        except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
            self.failed.append(f"{ONLINE[place]:,} idle devices: {error}")
        finally:
            self.idles[place].is_settled.set()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        for idle in self.idles:
            idle.is_settled.wait()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def result(self):
        """One of each size; None: the machine is too slow."""
        for thread in self.threads:
            thread.join()
        if self.failed:
            raise SystemExit(f"the measurement failed: {self.failed[0]}")
        return None if None in self.found else self.found
