# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""One run is one broker and one build of the plugin:
    python3 -m pytest tests/e2e --broker=2.1 --plugin=build/dev/plugin/mosquitto_presence.so"""
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from servers import find_mosquitto, sanitizers_of  # noqa: E402
from world import World  # noqa: E402

STORES = ["none", "state_file", "redis"]


def pytest_addoption(parser):
    parser.addoption("--broker", default="2.0.11", choices=["2.0.11", "2.0.21", "2.1"])
    parser.addoption("--plugin", help="path of mosquitto_presence.so")
    parser.addoption("--subjects", default="300", help="how many a slow watcher in test_sdk_c.py"
                     " has to learn of")
    parser.addoption("--soak", default="20", help="seconds of churn in test_soak.py")


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
    for client in shared.clients:
        client.close()
    shared.clients = []


@pytest.fixture
def make_world(bench, tmp_path):
    """Brokers of one story's own: make_world(store=.., options=..)."""
    worlds = []

    def make(*args, **how):
        worlds.append(World(bench, tmp_path / f"world{len(worlds)}", *args, **how))
        return worlds[-1]
    make.folder = tmp_path
    yield make
    for world in reversed(worlds):  # the first may hold the Redis of the others
        world.close()
