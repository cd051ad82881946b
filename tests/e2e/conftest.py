# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""One run is one broker and one build of the plugin:
    python3 -m pytest tests/e2e --broker=2.1 --plugin=build/dev/plugin/mosquitto_presence.so"""
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

sys.path.insert(0, str(Path(__file__).parent))

from control import make_control_world  # noqa: E402
from servers import BROKERS, PORTS, find_mosquitto, sanitizers_of  # noqa: E402
from world import GRACE_MS, World  # noqa: E402

STORES = ["none", "state_file", "redis"]
WORKERS_MAX = 8  # of one run; more would share their ports


def pytest_addoption(parser):
    parser.addoption("--broker", default="2.0.11", choices=BROKERS)
    parser.addoption("--plugin", help="path of mosquitto_presence.so")
    parser.addoption("--subjects", default="300", help="how many a slow watcher in test_sdk_c.py"
                     " has to learn of")
    parser.addoption("--soak", default="20", help="seconds of churn in test_soak.py")


def pytest_configure(config):
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % WORKERS_MAX
    PORTS.share(BROKERS.index(config.getoption("--broker")) * WORKERS_MAX + worker,
                len(BROKERS) * WORKERS_MAX)


def pytest_report_header(config):
    name, plugin = config.getoption("--broker"), config.getoption("--plugin")
    lines = [f"broker: mosquitto {find_mosquitto(name).version()} ({name})"]
    if plugin and Path(plugin).exists():
        lines.append(f"plugin: {plugin}, sanitizers: {sanitizers_of(plugin) or 'none'}")
    return lines


@dataclass
class Bench:
    mosquitto: object
    plugin: str
    sanitizers: list


@pytest.fixture(scope="session")
def mosquitto(request):
    return find_mosquitto(request.config.getoption("--broker"))


@pytest.fixture(scope="session")
def bench(request, mosquitto):
    plugin = request.config.getoption("--plugin")
    if not plugin or not Path(plugin).exists():
        pytest.fail(f"no plugin: --plugin {plugin}")
    return Bench(mosquitto, str(Path(plugin).resolve()), sanitizers_of(plugin))


class Stillness:
    """Shared machines stand still at times, one processor for seconds while the other goes on.
    What had to be seen in time, or done within grace, then says nothing about the plugin."""
    SECONDS, ATTEMPTS = GRACE_MS * 3 / 4000, 3

    def __init__(self):
        self.moments = []
        for processor in os.sched_getaffinity(0):
            threading.Thread(target=self._watch, args=(processor,), daemon=True).start()

    def _watch(self, processor):
        os.sched_setaffinity(0, {processor})  # of this thread alone
        before = time.monotonic()
        while True:
            time.sleep(0.05)
            now = time.monotonic()
            if now - before > self.SECONDS:
                self.moments.append((now, now - before))
            before = now

    def since(self, start):
        return max((seconds for at, seconds in self.moments if at > start), default=0)


STILLNESS = Stillness()


def pytest_runtest_protocol(item, nextitem):
    """A story that failed while the machine stood still is told again, and only then."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(1, Stillness.ATTEMPTS + 1):
        start = time.monotonic()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        stood = STILLNESS.since(start)
        if attempt == Stillness.ATTEMPTS or not stood or not any(one.failed for one in reports):
            break
        print(f"{item.nodeid}: the machine stood still for {stood:.1f} s: again", file=sys.stderr)
        item._initrequest()
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_generate_tests(metafunc):
    """A module may name the stores its stories run on."""
    if "shared" in metafunc.fixturenames:
        stores = getattr(metafunc.module, "STORES", STORES)
        metafunc.parametrize("shared", stores, indirect=True, scope="module")


@pytest.fixture(scope="module")
def shared(request, bench, tmp_path_factory):
    """One broker for all stories of a module, for each kind of store. Names never repeat."""
    world = World(bench, tmp_path_factory.mktemp("world"), request.param)
    yield world
    try:
        world.wait_grace_over()
        world.wait_agreement()
    finally:
        world.close()


@pytest.fixture
def world(shared):
    """A story on the shared broker; after the last one all who keep a copy must agree."""
    yield shared
    shared.close_clients()


def worlds_of(kind, bench, folder):
    worlds = []

    def make(*args, **how):
        worlds.append(kind(bench, folder / f"world{len(worlds)}", *args, **how))
        return worlds[-1]
    make.folder = folder
    yield make
    for world in reversed(worlds):  # the first may hold the Redis of the others
        world.close()


@pytest.fixture
def make_world(bench, tmp_path):
    """Brokers of one story's own: make_world(store=.., options=..)."""
    yield from worlds_of(World, bench, tmp_path)


@pytest.fixture
def make_control(bench, tmp_path):
    """The same with an admin and an agent: make_control(options, store=..)."""
    yield from worlds_of(make_control_world, bench, tmp_path)


@pytest.fixture(params=[4, 5])
def version(request):
    """Of MQTT."""
    return request.param


EARLIER = """
#include <string.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
static int yes(int event, void *data, void *self)
{ (void)event; (void)data; (void)self; return 0; }
int mosquitto_plugin_version(int n, const int *versions)
{ (void)n; (void)versions; return 5; }
int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **self, struct mosquitto_opt *o, int n)
{ (void)self; (void)o; (void)n;
  return mosquitto_callback_register(id, MOSQ_EVT_BASIC_AUTH, yes, NULL, NULL); }
int mosquitto_plugin_cleanup(void *self, struct mosquitto_opt *o, int n)
{ (void)self; (void)o; (void)n; return 0; }
"""


@pytest.fixture(scope="module")
def letting_all_in(tmp_path_factory):
    """The line for mosquitto.conf; it decides who gets in, and about nothing else."""
    library = tmp_path_factory.mktemp("earlier") / "earlier.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=EARLIER,
                   text=True, check=True)
    return f"plugin {library}\n"
