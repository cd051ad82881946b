# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Runs the benchmarks and prints what they say as Markdown; scripts/bench.sh builds and calls it.

For each version of Mosquitto several brokers run at once: bare, with a plugin that only publishes,
with one that waits for Redis in its callbacks, with Mosquitto's own example where there is one,
with presence, and with presence and its Redis. Each in turn gets short slices of the same loads, in
the order A B C D D C B A: what slows the machine down for a while slows all of them, and ratios
within such a group can be believed where the figures themselves cannot. Clients that speak for
themselves, with a last will, are one more; they use the bare broker. Then there is much retained
(retained.py), nothing happens (idle.py), and there is no broker at all (core_bench, redis_bench).

There is a time for all of it. What is slow because others use the machine gets fewer repetitions,
then smaller sizes; the results say what was left out."""
import argparse
import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from idle import Idles
from report import Report
from retained import Retained, make
from rows import ALONE, BARE, EXAMPLE, NAIVE, PRESENCE, PUBLISH, STALLED, WILL
from targets import EXAMPLE_PLUGIN, STANDSTILL_MS, Clock, Load, Outside, Target
from servers import find_mosquitto  # noqa: E402  (targets says where it is)

VERSIONS = ["2.0.11", "2.0.21", "2.1"]  # the oldest first
RATE, HOLD_MS, PINGS, SAYS_CLIENT = 1500, 50, 1000, 2
AGAIN_MAX = 3  # tries of one slice
HUGE, HUGE_S, HUGE_BYTES = 10000000, 1500, 6 << 30  # so many devices: the time, and free memory
# Ten times the devices take so many times the time, at most; those that are small go round more
# often, and those that are smaller take no time to speak of.
GROWTH, GROWTH_SMALL, SMALL, SMALLER = 5, 2, 100000, 10000
BEGAN = time.monotonic()


def progress(text):
    print(f"    {time.monotonic() - BEGAN:4.0f} s  {text}", file=sys.stderr, flush=True)


class Sizes:
    """What is done in a minute, or in ten."""

    def __init__(self, quick, huge):
        self.rate, self.pings = RATE, PINGS
        self.loads = [Load("paced", 300 if quick else 750, RATE, HOLD_MS),
                      Load("churn", 600 if quick else 2000),
                      Load("drop", 1000 if quick else 5000, hold_ms=200, drop=True, pings=PINGS)]
        self.stall_s = 1 if quick else 2
        self.stall_load = Load("stall", int(RATE * (self.stall_s + 1)), RATE, HOLD_MS)
        self.stall_rounds = 1 if quick else 3
        self.subjects = 5000 if quick else 100000
        self.restarts = self.reads = 1 if quick else 3
        self.paused_load = Load("while the watcher reads nothing", 1000 if quick else 5000)
        self.idle_ttl_s = 30 if quick else 180
        self.core = ["1000", "10000"] if quick else ["1000", "10000", "100000", "1000000"]
        self.redis = ["1000"] if quick else ["1000", "10000", "100000"]
        # How long all of it may take, and of that what comes after the loads: with much retained,
        # in each version; idle and without a broker; the script of Redis alone.
        self.seconds = 50 if quick else 560
        self.retained_s, self.inside_s, self.redis_s = (8, 22, 6) if quick else (40, 190, 70)
        if huge:
            self.core.append(str(HUGE))
            self.redis.append("1000000")
            self.seconds += HUGE_S
            self.inside_s += HUGE_S
            self.redis_s = 600


class Field:
    """The brokers of one version, and who uses which."""

    def __init__(self, mosquitto, arguments, folder):
        self.mosquitto = mosquitto
        self.generator = arguments.build / "bench/broker_bench"
        brokers = [BARE, PUBLISH, NAIVE, ALONE, PRESENCE]
        if mosquitto.knows_why and EXAMPLE_PLUGIN.exists():  # it needs events of 2.1
            brokers.insert(2, EXAMPLE)
        self.targets = {who: Target(who, mosquitto, arguments.build, folder / f"field-{who}")
                        for who in brokers}
        self.contestants = [BARE, WILL, *brokers[1:]]
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
        slices = defaultdict(lambda: defaultdict(list))
        for load in loads:
            for who in self.contestants + self.contestants[::-1]:
                slices[who][load.name].append(self.run(who, load))
            progress(f"mosquitto {self.mosquitto.version()}: {load.name}")
        return {"slices": slices, "outside": outside.share()}

    def stall(self, sizes):
        slices = defaultdict(lambda: defaultdict(list))
        for who, name, stall_s in [(PRESENCE, "calm", 0), (PRESENCE, STALLED, sizes.stall_s),
                                   (NAIVE, STALLED, sizes.stall_s)]:
            slices[who][name].append(self.run(who, sizes.stall_load, stall_s))
        return {"slices": slices}


def measure_field(mosquitto, arguments, sizes, folder, left):
    """left() is how much time there is for it."""
    groups, stalls, took = [], [], 0
    with Field(mosquitto, arguments, folder) as field:
        version = mosquitto.version()
        # Caches, tables and retained topics are as they will be, and memory has grown once.
        grown = {who: field.run(who, sizes.loads[-1])["bytes"] for who in field.targets}
        while not stalls or (len(stalls) < sizes.stall_rounds and left() > 0):
            stalls.append(field.stall(sizes))
            progress(f"mosquitto {version}: Redis stood still {len(stalls)} of "
                     f"{sizes.stall_rounds} times")
        while not groups or left() > took:
            before = left()
            groups.append(field.group(sizes.loads))
            took = before - left()
            progress(f"mosquitto {version}: group {len(groups)}, {groups[-1]['outside']:.0%} of "
                     f"the machine taken by others, {max(0, left()):.0f} s left for more")
    return {"version": version, "contestants": field.contestants, "groups": groups,
            "stalls": stalls, "bytes": grown, "again": field.again}


def measure_retained(mosquitto, arguments, sizes, folder, made, left):
    about = f"mosquitto {mosquitto.version()}, {sizes.subjects:,} retained: "
    kept = Retained(mosquitto, arguments.build, folder, made["folder"], sizes.subjects)
    try:
        return {**kept.measure(sizes, lambda: left() > 0, lambda text: progress(about + text)),
                "made wrong": made["wrong"]}
    finally:
        kept.close()


def found_versions(names):
    found = []
    for name in names:
        try:
            found.append(find_mosquitto(name))
        except FileNotFoundError as missing:
            progress(f"without mosquitto {name}: {missing}")
    if not found:
        raise SystemExit("no broker to measure: run scripts/fetch-brokers.sh")
    return found


def measure_versions(mosquittos, arguments, sizes, clock, folder, left_out):
    """One after the other, the newest first: what the loads showed, and what is retained. Each gets
    its part of the time that is left."""
    oldest = mosquittos[0]
    progress(f"mosquitto {oldest.version()}: {sizes.subjects:,} devices come and go, to be retained")
    made = make(oldest, arguments.build, folder / "made", sizes.subjects)
    took = 0
    for number, mosquitto in enumerate(reversed(mosquittos)):
        began = clock.passed()
        if clock.left(sizes.inside_s) < took / 2:
            left_out.append(f"Mosquitto {mosquitto.version()}")
            continue
        until = began + clock.left(sizes.inside_s) / (len(mosquittos) - number)

        def left(spare=0, until=until):
            return until - clock.passed() - spare
        home = folder / mosquitto.name
        loads = measure_field(mosquitto, arguments, sizes, home, lambda: left(sizes.retained_s))
        yield loads, measure_retained(mosquitto, arguments, sizes, home, made, left)
        took = clock.passed() - began


# ---- without a broker -------------------------------------------------------------------------


def run_program(arguments, name, sizes, seconds):
    """What it says; None: not in this time."""
    progress(f"{name}: {', '.join(sizes)}")
    # A file and a group of its own: servers that it leaves behind hold neither us nor a core.
    with tempfile.TemporaryFile("w+") as said:
        program = subprocess.Popen([arguments.build / "bench" / name, *sizes], stdout=said,
                                   start_new_session=True)
        try:
            code = program.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
        if code:
            raise SystemExit(f"the measurement failed: {name} ended with {code}")
        said.seek(0)
        return said.read()


def free_bytes():
    words = Path("/proc/meminfo").read_text().split()
    return 1024 * int(words[words.index("MemAvailable:") + 1])


def lacks_time(devices, took, left):
    """took: with a tenth of them."""
    return devices > SMALLER and left < took * (GROWTH if devices > SMALL else GROWTH_SMALL)


def measure_core(arguments, sizes, clock, left_out):
    """One size after the other, as long as there is time: the table."""
    lines, took = [], 0
    for size in sizes.core:
        what = f"{int(size):,} devices in the state machine"
        if int(size) == HUGE and free_bytes() < HUGE_BYTES:
            left_out.append(f"{what}: too little memory is free")
        elif lacks_time(int(size), took, clock.left(sizes.redis_s)):
            left_out.append(what)
        else:
            began = clock.passed()
            text = run_program(arguments, "core_bench", [size], max(60, clock.left()))
            took = clock.passed() - began
            if text:
                lines += text.splitlines()[2 * bool(lines):]
            else:
                left_out.append(what)
    return "\n".join(lines) + "\n"


def measure_redis(arguments, sizes, clock, left_out):
    """The largest size only if there is time; None: not even the others."""
    wanted = sizes.redis
    if len(wanted) > 1 and clock.left() < sizes.redis_s:
        left_out.append(f"{int(wanted[-1]):,} subjects in Redis")
        wanted = wanted[:-1]
    text = run_program(arguments, "redis_bench", wanted, max(90, clock.left()))
    if text is None:
        left_out.append("the script of Redis")
    return text


def measure_inside(mosquitto, arguments, sizes, clock, folder, left_out):
    """What the programs say, and what the idle ones took."""
    progress(f"mosquitto {mosquitto.version()}: thousands are online, and nothing happens")
    with Idles(mosquitto, arguments.build, folder, sizes.idle_ttl_s) as idles:
        core = measure_core(arguments, sizes, clock, left_out)
        redis = measure_redis(arguments, sizes, clock, left_out)
        idle = idles.result()
    if not idle:
        left_out.append("brokers with nothing to do")
    return core, idle, redis


def measure(arguments):
    """The text, and how many transitions were wrong."""
    sizes = Sizes(arguments.quick, arguments.huge)
    clock = Clock(arguments.seconds or sizes.seconds)
    flags = [f"--{name}" for name in ("quick", "huge") if getattr(arguments, name)]
    report = Report(sizes, arguments.write, " ".join(flags))
    mosquittos = found_versions(arguments.versions)
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as name:
        common = arguments, sizes, clock, Path(name), report.left_out
        for loads, retained in measure_versions(mosquittos, *common):
            report.add_version(loads, retained)
        report.add_inside(*measure_inside(mosquittos[-1], *common))
    return report.text(clock), report.wrong()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--huge", action="store_true",
                        help="ten million devices, and a million subjects in Redis, too")
    parser.add_argument("--write", type=Path, help="where the results go too")
    parser.add_argument("--versions", nargs="+", choices=VERSIONS)
    parser.add_argument("--seconds", type=float, help="for all of it")
    arguments = parser.parse_args()
    arguments.versions = arguments.versions or (["2.1"] if arguments.quick else ["2.0.11", "2.1"])
    arguments.versions.sort(key=VERSIONS.index)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the brokers inherit it
    text, wrong = measure(arguments)
    print(text)
    if arguments.write:
        arguments.write.write_text(text)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
