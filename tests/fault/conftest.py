# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The harness of tests/e2e, a fault for it, and a line of figures for each story."""
import importlib.util
import os
import random
import shutil
import sys
from pathlib import Path

import pytest

E2E = Path(__file__).resolve().parents[1] / "e2e"
sys.path[:0] = [str(E2E), str(Path(__file__).parent)]
spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
e2e_conftest = sys.modules["e2e_conftest"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(e2e_conftest)
from e2e_conftest import *  # noqa: E402,F401,F403
from e2e_conftest import pytest_configure as configure_e2e  # noqa: E402


def pytest_addoption(parser):
    e2e_conftest.pytest_addoption(parser)
    parser.addoption("--minutes", default="0", help="how long test_long.py talks")
    parser.addoption("--crowd", default="1000", help="how many clients come back in test_storm.py")


SEED = int(os.environ.get("PRESENCE_FAULT_SEED") or random.randrange(1 << 32))


def pytest_configure(config):
    configure_e2e(config)
    config.addinivalue_line("markers", "short: told in the default run too")


@pytest.fixture
def chance(request):
    """PRESENCE_FAULT_SEED repeats what it decided; which is said with the figures."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def figures(request):
    """Call it with one line that says what came out; the end of the run lists them."""
    def note(line):
        request.node.user_properties.append(("figures", f"{request.node.name}: {line}"))
    return note


@pytest.fixture(scope="session")
def presencectl(bench):
    path = Path(bench.plugin).parents[1] / "ctl/presencectl"
    if not path.exists() or bench.sanitizers:
        return shutil.which("presencectl")
    return str(path)


def pytest_terminal_summary(terminalreporter):
    lines = [text for reports in terminalreporter.stats.values() for report in reports
             for key, text in getattr(report, "user_properties", [])
             if key == "figures" and report.when == "call"]
    if lines:
        terminalreporter.section(f"figures, seed {SEED}")
        for line in lines:
            terminalreporter.line(line)
