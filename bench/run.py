# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Runs the benchmarks and prints what they say as Markdown; scripts/bench.sh builds and calls it.

For each version of the broker there are three brokers at once: bare, with the plugin alone, and
with the plugin and Redis. Each in turn gets a short slice of the same load, in the order A B C C
B A: what slows the machine down for a while slows all of them, and ratios within such a group can
be believed where the figures themselves cannot."""
import argparse
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests/e2e"))

from servers import Broker, Redis, RedisError, find_mosquitto, poll  # noqa: E402

VERSIONS = ["2.0.11", "2.0.21", "2.1"]
VARIANTS = ["bare", "plugin", "plugin and Redis"]
ORDER = [0, 1, 2, 2, 1, 0]
CYCLES, RATE, WINDOW, HOLD_MS = 1000, 1500, 64, 50  # of a slice
FLOOD_CYCLES = 5000  # as fast as the window allows, to see full batches
OUTSIDE_MAX = 0.10  # a group during which others took more of the machine is noise
PATIENCE = 20
STREAM = "presence:{0}:events"
CONF = """
user root
log_dest stderr
log_type error
log_type warning
log_type information
connection_messages false
set_tcp_nodelay true
max_queued_messages 0
allow_anonymous true
listener {port} 127.0.0.1
"""
# Without grace a reset is published at once, by 2.0 with its next tick.
PLUGIN = """
plugin {plugin}
plugin_opt_node bench
plugin_opt_grace 0
"""


def schedstat(pid, task):
    return int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0]) / 1000


def other_threads_us(pid):
    tasks = [int(task) for task in os.listdir(f"/proc/{pid}/task")]
    return sum(schedstat(pid, task) for task in tasks if task != pid)


class Target:
    """A broker, and the Redis it writes to, if any."""

    def __init__(self, mosquitto, variant, plugin, folder):
        self.presence = variant > 0
        self.redis = Redis(folder / "redis") if variant == 2 else None
        conf = CONF
        if self.presence:
            conf += PLUGIN.replace("{plugin}", plugin)
        if self.redis:
            conf += f"plugin_opt_redis_url {self.redis.url}\n"
        self.broker = Broker(mosquitto, folder / "broker", conf)

    def start(self):
        if self.redis:
            self.redis.start()
        self.broker.start()
        if self.redis:
            poll(lambda: self.redis("HLEN", "presence:{0}:nodes"), PATIENCE,
                 lambda: "the plugin is in Redis; its log:\n" + self.broker.log())

    def close(self):
        self.broker.stop()
        if self.redis:
            self.redis.stop()

    def pids(self):
        return [server.process.pid for server in (self.broker, self.redis) if server]

    def load(self, generator, cycles=CYCLES, rate=RATE):
        """One slice."""
        pid = self.broker.process.pid
        words = [self.broker.port, pid, int(self.presence), 0, cycles, rate, WINDOW, HOLD_MS, 0]
        before = RedisCost(self) if self.redis else None
        done = subprocess.run([generator, *map(str, words)], capture_output=True, text=True,
                              timeout=60, check=False)
        if done.returncode:
            raise SystemExit(f"the measurement failed: {done.stdout}{done.stderr}\n"
                             f"the broker's log:\n{self.broker.log()[-3000:]}")
        measured = json.loads(done.stdout)
        if before:
            measured["redis"] = before.until_now(2 * cycles)
        return measured


class RedisCost:
    """What contributions cost: each is one entry of the stream."""

    def __init__(self, target):
        self.target, self.redis = target, target.redis
        self.entries, self.last_id = self.stream()
        self.calls, self.script_us = self.scripts()
        self.redis_us, self.worker_us = self.cpu()

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

    def cpu(self):
        redis, broker = self.redis.process.pid, self.target.broker.process.pid
        return schedstat(redis, redis), other_threads_us(broker)

    def until_now(self, contributions):
        expected = self.entries + contributions
        poll(lambda: self.stream()[0] >= expected, PATIENCE,
             lambda: f"Redis has {expected} contributions, not {self.stream()[0]}")
        now = RedisCost(self.target)
        if now.entries != expected:
            raise SystemExit(f"Redis has {now.entries - expected} contributions too many")
        return {"contributions": contributions, "scripts": now.calls - self.calls,
                "script_us": now.script_us - self.script_us,
                "redis_us": now.redis_us - self.redis_us,
                "worker_us": now.worker_us - self.worker_us, "lags_ms": self.lags()}

    def lags(self):
        """From the transition, which is when its rev was made, to its entry in the stream."""
        lags = []
        for identifier, words in self.redis("XRANGE", STREAM, "(" + self.last_id, "+"):
            rev = int(words[words.index("rev") + 1])
            lags.append(max(0, int(identifier.split("-")[0]) - rev // 1000))
        return lags


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


def measure_version(name, arguments, folder):
    """Groups of slices per variant: [{"slices": [[..], [..], [..]], "outside": share}], and what a
    flood costs Redis."""
    mosquitto, targets, groups = find_mosquitto(name), [], []
    generator = arguments.build / "bench/broker_bench"
    plugin = str(arguments.build / "plugin/mosquitto_presence.so")
    try:
        for variant in range(len(VARIANTS)):
            targets.append(Target(mosquitto, variant, plugin, folder / f"{name}-{variant}"))
            targets[-1].start()
        for target in targets:  # caches, tables and retained topics are as they will be
            target.load(generator)
        for number in range(arguments.groups):
            outside, slices = Outside(targets), [[] for _ in VARIANTS]
            for variant in ORDER:
                slices[variant].append(targets[variant].load(generator))
            groups.append({"slices": slices, "outside": outside.share()})
            progress(f"mosquitto {mosquitto.version()}: group {number + 1} of {arguments.groups}, "
                     f"{groups[-1]['outside']:.0%} of the machine taken by others")
        flood = targets[2].load(generator, FLOOD_CYCLES, 0)
    finally:
        for target in targets:
            target.close()
    return mosquitto.version(), groups, flood


def progress(text):
    print(f"    {text}", file=sys.stderr, flush=True)


def quiet_ones(groups):
    """Those the machine left alone, if they are at least half."""
    quiet = [group for group in groups if group["outside"] <= OUTSIDE_MAX]
    return quiet if 2 * len(quiet) >= len(groups) else groups


def spread(values, digits):
    """median [lower quartile to upper quartile]"""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.{digits}f} [{low:.{digits}f} to {high:.{digits}f}]"


def table(head, rows):
    lines = [head, ["--"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def cpu_of(group, variant):
    return statistics.mean(one["all_us"] for one in group["slices"][variant])


def cpu_table(measured):
    rows = []
    for version, groups, _ in measured:
        for variant, name in enumerate(VARIANTS):
            ratio = [cpu_of(group, variant) / cpu_of(group, 0) for group in groups]
            rows.append([version, name, spread([cpu_of(group, variant) for group in groups], 1),
                         spread(ratio, 2) if variant else "1"])
    return table(["mosquitto", "", "µs per connect and disconnect", "of bare"], rows)


def latency_table(measured):
    kinds = ["online_ms", "clean_ms", "abrupt_ms"]
    head = ["mosquitto", "", *(f"{kind} {what}" for kind in ("connect", "goodbye", "reset")
                               for what in ("p50", "p99", "max"))]
    rows = []
    for version, groups, _ in measured:
        for variant, name in list(enumerate(VARIANTS))[1:]:
            slices = [one for group in groups for one in group["slices"][variant]]
            row = [version, name]
            for kind in kinds:
                row += [f"{statistics.median(one[kind]['p50'] for one in slices):.2f}",
                        spread([one[kind]["p99"] for one in slices], 2),
                        f"{max(one[kind]['max'] for one in slices):.1f}"]
            rows.append(row)
    return table(head, rows)


def redis_row(version, load, slices):
    total = {key: sum(one["redis"][key] for one in slices)
             for key in ("contributions", "scripts", "script_us", "redis_us", "worker_us")}
    lags = sorted(lag for one in slices for lag in one["redis"]["lags_ms"])
    count = total["contributions"]
    return [version, load, count, f"{count / max(total['scripts'], 1):.1f}",
            *(f"{total[key] / count:.1f}" for key in ("script_us", "redis_us", "worker_us")),
            lags[len(lags) // 2], lags[len(lags) * 99 // 100], lags[-1],
            max(one["queue_max"] for one in slices), max(one["lag_max_ms"] for one in slices)]


def redis_table(measured):
    head = ["mosquitto", "load", "contributions", "per script", "script µs each",
            "Redis CPU µs each", "worker CPU µs each", "lag ms p50", "p99", "max", "queue seen",
            "lag_ms seen"]
    rows = []
    for version, groups, flood in measured:
        slices = [one for group in groups for one in group["slices"][2]]
        rows += [redis_row(version, "paced", slices), redis_row(version, "flood", [flood])]
    return table(head, rows)


def machine():
    words = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines()
                 if ":" in line)
    names = {key.strip(): value.strip() for key, value in words.items()}
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True,
                           check=True).stdout.split()[2]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, text=True,
                            capture_output=True, check=False).stdout.strip()
    return (f"{time.strftime('%Y-%m-%d %H:%M %Z')}, commit {commit or 'unknown'}. "
            f"{os.cpu_count()} × {names.get('model name', platform.machine())}, "
            f"Linux {platform.release()}, Redis {redis[2:]} on a unix socket, "
            f"load {os.getloadavg()[0]:.1f} at the start.")


def report_brokers(arguments, folder):
    measured, noise = [], []
    for name in arguments.versions:
        try:
            version, groups, flood = measure_version(name, arguments, folder)
        except FileNotFoundError as missing:
            progress(f"without mosquitto {name}: {missing}")
            continue
        quiet = quiet_ones(groups)
        measured.append((version, quiet, flood))
        noise.append(f"{version}: {len(quiet)} of {len(groups)}, others took "
                     f"{spread([100 * group['outside'] for group in quiet], 0)} % of the machine")
    late_ms = max(one["held_back_ms"] for _, groups, _ in measured for group in groups
                  for slices in group["slices"] for one in slices)
    slices = (f"Slices of {CYCLES} connects, {RATE} a second, at most {WINDOW} at once, each "
              f"device stays {HOLD_MS} ms; no connect began later than {late_ms:.0f} ms after it "
              f"was due. Groups used: {'; '.join(noise)}.")
    busy = any(group["outside"] > OUTSIDE_MAX for _, groups, _ in measured for group in groups)
    return "\n".join([
        "## Brokers\n",
        *["**The machine was busy with other things: these figures are rough, latencies and lags "
          "above all.**\n"] * busy,
        slices + "\nEvery transition was seen once and in order, and is in Redis once. Each "
        "value: median [quartiles].\n",
        "### CPU of the broker's main thread\n", cpu_table(measured),
        "### From the client's act to the watcher, ms\n", latency_table(measured),
        "### Redis, its share and the worker's\n", redis_table(measured)])


def report_core(arguments):
    sizes = ["1000", "10000", "100000"] + ([] if arguments.quick else ["1000000"])
    progress("the core: " + ", ".join(sizes) + " devices")
    done = subprocess.run([arguments.build / "bench/core_bench", *sizes], text=True, check=True,
                          stdout=subprocess.PIPE, timeout=400)
    return "## Core\n\n" + done.stdout


def report_redis(arguments):
    sizes = ["1000", "10000"] + ([] if arguments.quick else ["100000", "1000000"])
    progress("the script of Redis: " + ", ".join(sizes) + " subjects")
    done = subprocess.run([arguments.build / "bench/redis_bench", *sizes], text=True, check=True,
                          stdout=subprocess.PIPE, timeout=600)
    return "## Script of Redis\n\n" + done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path, help="where the results go too")
    parser.add_argument("--versions", nargs="+", default=VERSIONS, choices=VERSIONS)
    parser.add_argument("--groups", type=int)
    arguments = parser.parse_args()
    arguments.groups = arguments.groups or (2 if arguments.quick else 16)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parts = ["# Results\n", machine() + " How to read them: [README.md](README.md).\n"]
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as folder:
        parts += [report_core(arguments), report_redis(arguments),
                  report_brokers(arguments, Path(folder))]
    text = "\n".join(parts)
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


if __name__ == "__main__":
    main()
