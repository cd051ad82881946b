# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The processes under test: mosquitto of three Debian releases, and Redis. Each runs on loopback
in a folder of its own and is ended by its pid."""
import itertools
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("PRESENCE_CACHE") or REPOSITORY / ".cache") / "brokers"
START_SECONDS = 40
# Stands for passwords and what people write: in no log, of any broker, in any story.
SECRET = "s3cr3t-w0rd"
# Any of these in what a broker wrote means that the plugin did something wrong.
REPORTS = re.compile(r"ERROR: AddressSanitizer|WARNING: ThreadSanitizer|runtime error:"
                     r"|FATAL: ThreadSanitizer|AddressSanitizer:DEADLYSIGNAL"
                     r"|(?m:^==\d+== )")  # valgrind --quiet
POLL = 0.005


def poll(question, seconds, what):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what() if callable(what) else what}, not in {seconds} s")
        time.sleep(POLL)


class Ports:
    """Several runs share a machine: each takes its own ports, one after the other, so that none
    gets a port that another's broker gave up for the moment of its restart. All are below the
    range from which the kernel takes ports for outgoing connections."""

    def __init__(self):
        self.share(0, 1)

    def share(self, number, of):
        size = (32000 - 15000) // of
        first = 15000 + size * number
        self.ports = itertools.cycle(range(first, first + size))
        for _ in range(random.randrange(size)):
            next(self.ports)

    def free(self):
        for port in itertools.islice(self.ports, 1000):
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    pass
        raise AssertionError("no free port")


PORTS = Ports()
BROKERS = ["2.0.11", "2.0.21", "2.1"]


@dataclass
class Mosquitto:
    """One release. knows_why: its events tell how a connection ended."""
    name: str
    command: list
    preload: object  # list of libraries -> (arguments, environment)
    root: str = ""

    @property
    def knows_why(self):
        return not self.name.startswith("2.0")

    @property
    def old_tick(self):
        """No tick with per_listener_settings true."""
        return self.name == "2.0.11"

    def library(self, name):
        """The path of one of its own plugins."""
        return f"{self.root}/usr/lib/x86_64-linux-gnu/{name}"

    def version(self):
        out = subprocess.run(self.command + ["-h"], capture_output=True, text=True, check=False)
        found = re.search(r"mosquitto version (\S+)", out.stdout + out.stderr)
        return found.group(1) if found else None


def find_mosquitto(name):
    if name == "2.0.11":
        return Mosquitto(name, ["/usr/sbin/mosquitto"],
                         lambda libraries: ([], {"LD_PRELOAD": " ".join(libraries)}))
    home = CACHE / {"2.0.21": "trixie", "2.1": "sid"}[name]
    if not (home / "format").exists():
        raise FileNotFoundError(f"no mosquitto {name} in {home}: run scripts/fetch-brokers.sh")
    root = home / "root"
    loader = [str(root / "lib64/ld-linux-x86-64.so.2"), "--library-path",
              (home / "library-path").read_text()]
    program = [str(root / "usr/sbin/mosquitto")]
    return Mosquitto(name, loader + program,
                     lambda libraries: (loader + ["--preload", " ".join(libraries)] + program, {}),
                     str(root))


def sanitizers_of(plugin):
    """The runtimes a plugin was linked with; they have to be in the process from its start."""
    out = subprocess.run(["readelf", "-d", plugin], capture_output=True, text=True, check=True)
    return re.findall(r"\[(lib(?:asan|tsan|ubsan)\.so\.\d+)\]", out.stdout)


def passwords(path, username, password):
    """A password_file with one user in it; all releases read it."""
    path.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", path, username, password], check=True)
    return path


class Process:
    """A server in its folder; what it writes goes to log."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / "log"
        self.process, self.paused = None, False

    def launch(self, command, environment=None):
        assert not self.alive()
        self.paused = False
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})})

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, pattern, seconds=30):
        return poll(lambda: re.search(pattern, self.log()), seconds,
                    lambda: f"«{pattern}» in the log:\n{self.log()[-3000:]}")

    def send_signal(self, number):
        self.process.send_signal(number)

    def pause(self):
        self.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        """Only what was paused: LeakSanitizer stops a process that ends, and would wait forever
        for one that somebody continued."""
        if self.paused:
            self.send_signal(signal.SIGCONT)
            self.paused = False

    def wait_end(self, seconds=START_SECONDS):
        return self.process.wait(seconds)

    def stop(self, number=signal.SIGTERM, seconds=START_SECONDS):
        """Ends it and returns how long that took."""
        if not self.alive():
            return 0.0
        start = time.monotonic()
        self.send_signal(number)
        self.resume()
        try:
            self.wait_end(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end on signal {number} in {seconds} s:\n"
                                 + self.log()[-3000:]) from None
        return time.monotonic() - start

    def kill(self):
        self.stop(signal.SIGKILL)


class Broker(Process):
    """conf is the text of mosquitto.conf; {port} and {ws_port} in it are filled in."""
    asan_options = ""

    def __init__(self, mosquitto, folder, conf, sanitizers=()):
        super().__init__(folder)
        self.mosquitto = mosquitto
        self.port, self.ws_port = PORTS.free(), PORTS.free()
        self.conf_path = self.folder / "mosquitto.conf"
        self.conf_path.write_text(conf.replace("{port}", str(self.port))
                                  .replace("{ws_port}", str(self.ws_port)))
        self.sanitizers = list(sanitizers)

    def start(self, wait=True):
        command, environment = self.mosquitto.command, {}
        if self.sanitizers:
            arguments, environment = self.mosquitto.preload(self.sanitizers)
            command = arguments or command
            environment.update(ASAN_OPTIONS="detect_leaks=1:exitcode=0" + self.asan_options,
                               LSAN_OPTIONS="exitcode=0", UBSAN_OPTIONS="print_stacktrace=1",
                               TSAN_OPTIONS="exitcode=0:second_deadlock_stack=1")
            if "libtsan.so.2" in self.sanitizers and no_randomization():
                command = ["setarch", "-R"] + command
        command = shlex.split(os.environ.get("PRESENCE_BROKER_WRAPPER", "")) + command  # valgrind
        before = len(self.log())
        self.launch(command + ["-c", str(self.conf_path)], environment)
        if wait:
            poll(lambda: self.running(before), START_SECONDS,
                 lambda: "the broker runs; its log:\n" + self.log())
        return self

    def running(self, before):
        """It listens before it handles signals; this line comes after both."""
        if re.search(r"mosquitto version \S+ running", self.log()[before:]):
            return True
        assert self.alive(), "the broker did not start:\n" + self.log()
        return False

    def restart(self, number=signal.SIGTERM):
        self.stop(number)
        return self.start()

    def reports(self):
        """What the sanitizers found in the plugin; leaks of the broker itself are its own."""
        log = self.log()
        found = [log[hit.start():hit.start() + 6000] for hit in [REPORTS.search(log)] if hit]
        if "LeakSanitizer" in log:
            blocks = re.split(r"\n\s*\n", log[log.index("LeakSanitizer"):])
            # Only what is built here has the names of C files in it; for that the plugin stays
            # loaded until the end (-z nodelete). Indirect leaks hang from direct ones: ours, or
            # those of a broker that gave up without saying goodbye to its plugins.
            found += [block for block in blocks
                      if re.match(r"\s*Direct leak", block)
                      and re.search(r"\.c:\d+|<stdin>:\d+", block)]
        return "\n\n".join(found)


def no_randomization():
    """ThreadSanitizer of gcc 12 cannot live with all the randomness newer kernels have."""
    return shutil.which("setarch") and not subprocess.run(
        ["setarch", "-R", "true"], capture_output=True, check=False).returncode


class RedisError(Exception):
    pass


class Redis(Process):
    """redis-server, and a client of one connection for what tests ask it."""

    def __init__(self, folder, lines=()):
        super().__init__(folder)
        # The path of a socket has to be short.
        self.place = tempfile.TemporaryDirectory(prefix="presence-")
        self.port, self.path = PORTS.free(), self.place.name + "/redis.sock"
        self.url = "unix://" + self.path
        self.lines, self.socket = list(lines), None

    def start(self):
        self.launch(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
                     "--unixsocket", self.path, "--unixsocketperm", "777", "--save", "",
                     "--appendonly", "no", *self.lines])
        poll(self._try, START_SECONDS, lambda: "redis answers; its log:\n" + self.log())
        return self

    def _try(self):
        assert self.alive(), "redis-server did not start:\n" + self.log()
        try:
            return self("PING") == "PONG"
        except OSError:
            return False
        except RedisError:
            return False

    def stop(self, number=signal.SIGTERM, seconds=START_SECONDS):
        self._drop()
        return super().stop(number, seconds)

    def _drop(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def __call__(self, *words):
        """Runs one command; the answer in Python's words."""
        try:
            if not self.socket:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.settimeout(10)
                self.socket.connect(self.path)
                self.lines_in = self.socket.makefile("rb")
            words = [str(word).encode() for word in words]
            self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(
                b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
            return self._answer()
        except OSError:
            self._drop()
            raise

    def _answer(self):
        line = self.lines_in.readline()
        if not line:
            raise ConnectionError("redis closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RedisError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        if rest == "-1":
            return None
        return self.lines_in.read(int(rest) + 2)[:-2].decode(errors="surrogateescape")

    def hash(self, key):
        flat = self("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))
