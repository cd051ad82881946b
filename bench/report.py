# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What was measured, as Markdown, with plots beside it."""
import os
import platform
import subprocess
import time
from pathlib import Path

from plots import bars, targets as targets_plot
from rows import (BARE, BROKER_ROWS, NOT_MEASURED, PRESENCE, PUBLISH, core_results, idle_results,
                  mean, meanings, memory_row, redis_results, results_of, results_table,
                  retained_results, spread, stall_naive_row, stall_row, table)
from targets import NAIVE_ROUND_TRIPS, REPOSITORY

OUTSIDE_MAX = 0.10  # a group during which others took more of the machine is noise
LATE_S = 60  # what took so much longer than it should was measured on a busy machine


def quiet_ones(groups):
    """Those the machine left alone, if they are at least half."""
    quiet = [group for group in groups if group["outside"] <= OUTSIDE_MAX]
    return quiet if 2 * len(quiet) >= len(groups) else groups


def contestants_table(contestants, groups, grown):
    head = ["", "µs paced", "µs churn", "connects/s", "drop, ends/s", "µs a ping", "bytes a device",
            "online ms p50", "p99", "reset ms p50", "p99"]
    rows = []
    for who in contestants:
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


def machine(flags):
    words = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines()
                 if ":" in line)
    names = {key.strip(): value.strip() for key, value in words.items()}
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True,
                           check=True).stdout.split()[2]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, text=True,
                            capture_output=True, check=False).stdout.strip()
    return (f"{time.strftime('%Y-%m-%d %H:%M %Z')}, commit {commit or 'unknown'}"
            f"{', ' + flags if flags else ''}. "
            f"{os.cpu_count()} × {names.get('model name', platform.machine())}, "
            f"Linux {platform.release()}, Redis {redis[2:]} on a unix socket, load "
            f"{os.getloadavg()[0]:.1f} at the start. How to read them: [README.md](README.md).\n")


def settings(sizes):
    paced, churn, drop = sizes.loads
    return (f"Paced: {paced.cycles} connects a slice, {sizes.rate} a second, each stays {paced.words[4]} ms, "
            f"every other one ends with a reset. Churn: {churn.cycles}, as fast as can be, gone at "
            f"once. Drop: {drop.cycles} come, {sizes.pings} pings a second for 200 ms, all are reset at "
            "once. At most 64 connects under way. set_tcp_nodelay true, max_queued_messages 200000, "
            f"grace 0. The naive one takes {NAIVE_ROUND_TRIPS} round trips an event. Redis stands "
            f"still for {sizes.stall_s} s of {sizes.stall_s + 1}.\n")


def retained_table(measured):
    def of(rounds, who, value, digits):
        return spread([value(one) for each in rounds for one in each[who]], digits)
    restarts, reads = measured["restarts"], measured["reads"]
    rows = [[BARE, of(restarts, BARE, float, 2), "", ""]]
    for who in (PUBLISH, PRESENCE):
        rows.append([who, of(restarts, who, float, 2) if who == PRESENCE else "",
                     of(reads, who, lambda seen: seen.get("all_s", 1e9), 2),
                     of(reads, who, lambda seen: seen.get("all_us", 1e9), 1)])
    return table(["", f"restart with {measured['subjects']:,} retained, s", "a new watcher, s",
                  "CPU µs a record"], rows)


def by_number(result):
    return not result.row.number, int(result.row.number[1:] or 0)


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


class Report:
    """flags: what the run was asked for; written: where the text will go, None: nowhere. What there
    was no time for goes into left_out."""

    def __init__(self, sizes, written, flags):
        self.sizes, self.results, self.parts, self.left_out = sizes, [], [], []
        self.head = ["# Results\n", machine(flags), settings(sizes)]
        self.plot = plotter(written)

    def add_version(self, loads, retained):
        version, groups = loads["version"], quiet_ones(loads["groups"])
        results = results_of(BROKER_ROWS, groups)
        results += results_of([stall_row(), stall_naive_row()], loads["stalls"])
        results += results_of([memory_row()], [{"slices": {}, "bytes": loads["bytes"]}])
        results += retained_results(retained)
        results.sort(key=by_number)
        for one in results:
            one.where = version
        self.results += results
        contestants = loads["contestants"]
        cpu = {f"{who}, paced": [mean(group, who, "paced", "all_us") for group in groups]
               for who in contestants}
        self.parts += [
            f"## Mosquitto {version}\n", self.noise_of(loads, groups), results_table(results),
            self.plot(f"targets-{version}", targets_plot(results, f"Mosquitto {version}")),
            self.plot(f"cpu-{version}", bars(cpu, f"Mosquitto {version}: CPU of the broker's main "
                                                  "thread, a connect and its end", "µs")),
            "### Each by itself\n", contestants_table(contestants, groups, loads["bytes"]),
            "### Redis of presence, and the worker\n", redis_table(groups),
            "### Much is retained\n", retained_table(retained)]

    @staticmethod
    def noise_of(loads, groups):
        outside = [100 * group["outside"] for group in loads["groups"]]
        noise = (f"{len(groups)} of {len(outside)} groups used; others took {spread(outside, 0)} % "
                 f"of the machine. Slices repeated because it stood still: {loads['again']}.")
        if max(outside) > 100 * OUTSIDE_MAX:
            noise += (" **It was busy with other things: figures are rough, latencies and rates "
                      "above all; ratios of CPU time are what is left to compare.**")
        return noise + "\n"

    def add_inside(self, core, idle, redis):
        """idle and redis are None when there was no time for them."""
        results = core_results(core) + (redis_results(redis) if redis else [])
        results += idle_results(idle, self.sizes.idle_ttl_s) if idle else []
        results.sort(key=by_number)
        self.results += results
        title = "Without a load, and without a broker"
        self.parts += [f"## {title}\n", results_table(results),
                       self.plot("targets-inside", targets_plot(results, title)),
                       "### Core\n", core, "### Script of Redis\n", redis or "Not measured.\n"]

    def wrong(self):
        return sum(one.wrong for one in self.results)

    def how_it_went(self, clock):
        text = f"Took {clock.passed():.0f} s. "
        text += ("**Some transitions were lost, doubled or out of order: see WRONG.**"
                 if self.wrong() else
                 "Every transition was seen once and in order, and is in Redis once.")
        if self.left_out:
            text += (" **The machine was too busy for all of it in the time. Left out: "
                     + "; ".join(self.left_out) + ".**")
        elif clock.left() < -LATE_S:
            text += " **The machine was busy: it should have been less.**"
        return text + "\n"

    def text(self, clock):
        return "\n".join([*self.head, self.how_it_went(clock), *self.parts, "## What it means\n",
                          meanings(self.results), NOT_MEASURED])
