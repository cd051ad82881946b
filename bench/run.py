# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Runs the benchmarks and prints what they say as Markdown; scripts/bench.sh builds and calls it.

For each version of Mosquitto four brokers run at once: bare, with a plugin that only publishes,
with one that waits for Redis in its callbacks, and with presence and its Redis. Each in turn gets
short slices of the same loads, in the order A B C D D C B A: what slows the machine down for a
while slows all of them, and ratios within such a group can be believed where the figures
themselves cannot. Clients that speak for themselves, with a last will, are a fifth; they use the
bare broker."""
import argparse
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from plots import bars, targets as targets_plot
from rows import (BARE, BROKER_ROWS, NAIVE, NOT_MEASURED, PRESENCE, PUBLISH, STALLED, WILL,
                  core_results, mean, memory_row, redis_results, results_of, results_table, spread,
                  stall_naive_row, stall_row, table)
from targets import NAIVE_ROUND_TRIPS, REPOSITORY, STANDSTILL_MS, Load, Outside, Target
from servers import find_mosquitto  # noqa: E402  (targets says where it is)

VERSIONS = ["2.0.11", "2.0.21", "2.1"]
BROKERS = [BARE, PUBLISH, NAIVE, PRESENCE]
CONTESTANTS = [BARE, WILL, PUBLISH, NAIVE, PRESENCE]
RATE, HOLD_MS, PINGS, SAYS_CLIENT = 1500, 50, 1000, 2
AGAIN_MAX = 3  # tries of one slice
OUTSIDE_MAX = 0.10  # a group during which others took more of the machine is noise


class Sizes:
    """What is done in a minute, or in ten."""

    def __init__(self, quick):
        self.loads = [Load("paced", 300 if quick else 750, RATE, HOLD_MS),
                      Load("churn", 600 if quick else 2000),
                      Load("drop", 1000 if quick else 5000, hold_ms=200, drop=True, pings=PINGS)]
        self.groups_min = 1 if quick else 3
        self.stall_s = 1 if quick else 2
        self.stall_load = Load("stall", int(RATE * (self.stall_s + 1)), RATE, HOLD_MS)
        self.stall_rounds = 1 if quick else 3
        self.core = ["1000", "10000"] if quick else ["1000", "10000", "100000", "1000000"]
        self.redis = ["1000"] if quick else ["1000", "10000", "100000", "1000000"]


def progress(text):
    print(f"    {text}", file=sys.stderr, flush=True)


class Field:
    """The brokers of one version, and who uses which."""

    def __init__(self, name, arguments, folder):
        self.mosquitto = find_mosquitto(name)
        self.generator = arguments.build / "bench/broker_bench"
        self.targets = {who: Target(who, self.mosquitto, arguments.build, folder / f"{name}-{who}")
                        for who in BROKERS}
        self.again = 0

    def __enter__(self):
        try:
            for target in self.targets.values():
                target.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for target in self.targets.values():
            target.close()

    def run(self, who, load, stall_s=0):
        """A slice; once more when the machine stood still in it, but not if it was wrong."""
        target = self.targets[BARE if who == WILL else who]
        for _ in range(AGAIN_MAX):
            one = target.load(self.generator, load, SAYS_CLIENT if who == WILL else None, stall_s)
            if one["standstill_ms"] < STANDSTILL_MS or one["wrong"] or stall_s:
                return one
            self.again += 1
            progress(f"the machine stood still for {one['standstill_ms'] / 1000:.1f} s: once more")
        return one

    def group(self, loads):
        """Everybody twice: who -> load -> slices."""
        outside = Outside(self.targets.values())
        slices = {who: defaultdict(list) for who in CONTESTANTS}
        for load in loads:
            for who in CONTESTANTS + CONTESTANTS[::-1]:
                slices[who][load.name].append(self.run(who, load))
        return {"slices": slices, "outside": outside.share()}

    def stall(self, sizes):
        slices = {who: defaultdict(list) for who in CONTESTANTS}
        for who, name, stall_s in [(PRESENCE, "calm", 0), (PRESENCE, STALLED, sizes.stall_s),
                                   (NAIVE, STALLED, sizes.stall_s)]:
            slices[who][name].append(self.run(who, sizes.stall_load, stall_s))
        return {"slices": slices}


def measure_version(name, arguments, sizes, folder):
    groups, stalls = [], []
    with Field(name, arguments, folder) as field:
        version = field.mosquitto.version()
        # Caches, tables and retained topics are as they will be, and memory has grown once.
        grown = {who: field.run(who, sizes.loads[-1])["bytes"] for who in BROKERS}
        for number in range(sizes.stall_rounds):
            stalls.append(field.stall(sizes))
            progress(f"mosquitto {version}: Redis stood still {number + 1} of "
                     f"{sizes.stall_rounds} times")
        until = time.monotonic() + arguments.seconds
        while len(groups) < sizes.groups_min or time.monotonic() < until:
            groups.append(field.group(sizes.loads))
            progress(f"mosquitto {version}: group {len(groups)}, {groups[-1]['outside']:.0%} of "
                     f"the machine taken by others, {max(0, until - time.monotonic()):.0f} s left")
    return {"version": version, "groups": groups, "stalls": stalls, "bytes": grown,
            "again": field.again}


def quiet_ones(groups):
    """Those the machine left alone, if they are at least half."""
    quiet = [group for group in groups if group["outside"] <= OUTSIDE_MAX]
    return quiet if 2 * len(quiet) >= len(groups) else groups


def contestants_table(groups, grown):
    head = ["", "µs paced", "µs churn", "connects/s", "drop, ends/s", "µs a ping", "bytes a device",
            "online ms p50", "p99", "reset ms p50", "p99"]
    rows = []
    for who in CONTESTANTS:
        slices = {load: [one for group in groups for one in group["slices"][who][load]]
                  for load in ("paced", "churn", "drop")}

        def of(load, value, digits=1):
            return spread([value(one) for one in slices[load]], digits)
        row = [who, of("paced", lambda one: one["all_us"]), of("churn", lambda one: one["all_us"]),
               of("drop", lambda one: one["cycles"] / one["up_s"], 0),
               of("drop", lambda one: one["cycles"] / one["down_s"], 0),
               of("drop", lambda one: one["held_us"], 0), f"{grown[who]:.0f}" if who in grown
               else ""]
        for kind in ("online_ms", "abrupt_ms"):
            for point in ("p50", "p99"):
                row.append(of("paced", lambda one: one[kind][point], 2) if who != BARE else "")
        rows.append(row)
    return table(head, rows)


def redis_row(load, slices):
    total = {key: sum(one["redis"][key] for one in slices)
             for key in ("contributions", "scripts", "script_us", "redis_us", "worker_us",
                         "bytes_in")}
    lags = sorted(lag for one in slices for lag in one["redis"]["lags_ms"])
    count = total["contributions"]
    return [load, count, f"{count / max(total['scripts'], 1):.1f}",
            *(f"{total[key] / count:.1f}" for key in ("script_us", "redis_us", "worker_us")),
            f"{total['bytes_in'] / count:.0f}", lags[len(lags) // 2], lags[len(lags) * 99 // 100],
            lags[-1]]


def redis_table(groups):
    head = ["load", "contributions", "per script", "script µs each", "Redis CPU µs each",
            "worker CPU µs each", "bytes in each", "lag ms p50", "p99", "max"]
    return table(head, [redis_row(load, [one for group in groups
                                         for one in group["slices"][PRESENCE][load]])
                        for load in ("paced", "churn", "drop")])


def machine(arguments):
    words = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines()
                 if ":" in line)
    names = {key.strip(): value.strip() for key, value in words.items()}
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True,
                           check=True).stdout.split()[2]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, text=True,
                            capture_output=True, check=False).stdout.strip()
    return (f"{time.strftime('%Y-%m-%d %H:%M %Z')}, commit {commit or 'unknown'}"
            f"{', --quick' if arguments.quick else ''}. "
            f"{os.cpu_count()} × {names.get('model name', platform.machine())}, "
            f"Linux {platform.release()}, Redis {redis[2:]} on a unix socket, load "
            f"{os.getloadavg()[0]:.1f} at the start. How to read them: [README.md](README.md).\n")


def settings(sizes):
    paced, churn, drop = sizes.loads
    return (f"Paced: {paced.cycles} connects a slice, {RATE} a second, each stays {HOLD_MS} ms, "
            f"every other one ends with a reset. Churn: {churn.cycles}, as fast as can be, gone at "
            f"once. Drop: {drop.cycles} come, {PINGS} pings a second for 200 ms, all are reset at "
            "once. At most 64 connects under way. set_tcp_nodelay true, max_queued_messages 0, "
            f"grace 0. The naive one takes {NAIVE_ROUND_TRIPS} round trips an event. Redis stands "
            f"still for {sizes.stall_s} s of {sizes.stall_s + 1}.\n")


def report_version(measured, plot):
    """Its section, and the results in it."""
    version, groups = measured["version"], quiet_ones(measured["groups"])
    results = results_of(BROKER_ROWS, groups)
    results += results_of([stall_row(), stall_naive_row()], measured["stalls"])
    results += results_of([memory_row()], [{"slices": {}, "bytes": measured["bytes"]}])
    results.sort(key=lambda one: (not one.row.number, int(one.row.number[1:] or 0)))
    outside = [100 * group["outside"] for group in measured["groups"]]
    noise = (f"{len(groups)} of {len(outside)} groups used; others took {spread(outside, 0)} % of "
             f"the machine. Slices repeated because it stood still: {measured['again']}.")
    if max(outside) > 100 * OUTSIDE_MAX:
        noise += (" **It was busy with other things: figures are rough, latencies and rates above "
                  "all; ratios of CPU time are what is left to compare.**")
    cpu = {f"{who}, paced": [mean(group, who, "paced", "all_us") for group in groups]
           for who in CONTESTANTS}
    pictures = [plot(f"targets-{version}", targets_plot(results, f"Mosquitto {version}")),
                plot(f"cpu-{version}", bars(cpu, f"Mosquitto {version}: CPU of the broker's main "
                                                 "thread, a connect and its end", "µs"))]
    return "\n".join([f"## Mosquitto {version}\n", noise + "\n", results_table(results),
                      *pictures, "### Each by itself\n",
                      contestants_table(groups, measured["bytes"]),
                      "### Redis of presence, and the worker\n", redis_table(groups)]), results


def report_brokers(arguments, sizes, folder, plot):
    parts, results = [], []
    for name in arguments.versions:
        try:
            measured = measure_version(name, arguments, sizes, folder)
        except FileNotFoundError as missing:
            progress(f"without mosquitto {name}: {missing}")
            continue
        text, found = report_version(measured, plot)
        parts.append(text)
        results += found
    return "\n".join(parts), results


def run_program(arguments, name, sizes):
    progress(f"{name}: {', '.join(sizes)}")
    done = subprocess.run([arguments.build / "bench" / name, *sizes], text=True, check=True,
                          stdout=subprocess.PIPE, timeout=600)
    return done.stdout


def meanings(results):
    """What each figure is to somebody who runs a broker, once."""
    said = {one.row.means: f"- **{f'{one.row.number} {one.row.name}'.strip()}.** {one.row.means}"
            for one in reversed(results) if one.row.means}
    return "\n".join(reversed(said.values())) + "\n"


def plotter(written):
    """A function that writes a plot beside the results and returns the words that show it."""
    def plot(name, image):
        if not written:
            return ""
        folder = written.parent / "plots"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.svg").write_text(image)
        return f"![{name}](plots/{name}.svg)\n"
    return plot


def report(arguments):
    """The text, and how many transitions were wrong."""
    sizes, began = Sizes(arguments.quick), time.monotonic()
    head = ["# Results\n", machine(arguments), settings(sizes)]
    plot = plotter(arguments.write)
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as folder:
        brokers, results = report_brokers(arguments, sizes, Path(folder), plot)
    wrong = sum(one.wrong for one in results)
    core, redis = (run_program(arguments, name, count) for name, count in
                   (("core_bench", sizes.core), ("redis_bench", sizes.redis)))
    inside = core_results(core) + redis_results(redis)
    head += [f"Took {time.monotonic() - began:.0f} s. " + (
        "Every transition was seen once and in order, and is in Redis once.\n" if not wrong else
        f"**{wrong} transitions were lost, doubled or out of order.**\n")]
    return "\n".join([*head, brokers, "## Without a broker\n", results_table(inside),
                      plot("targets-inside", targets_plot(inside, "Without a broker")),
                      "### Core\n", core, "### Script of Redis\n", redis,
                      "## What it means\n", meanings(results + inside),
                      "Not measured here: " + NOT_MEASURED]), wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path, help="where the results go too")
    parser.add_argument("--versions", nargs="+", choices=VERSIONS)
    parser.add_argument("--seconds", type=float, help="for the groups of a version")
    arguments = parser.parse_args()
    arguments.versions = arguments.versions or (["2.1"] if arguments.quick else ["2.0.11", "2.1"])
    arguments.seconds = arguments.seconds or (10 if arguments.quick else 90)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the brokers inherit it
    text, wrong = report(arguments)
    print(text)
    if arguments.write:
        arguments.write.write_text(text)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
