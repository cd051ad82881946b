# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""presencectl against real brokers: in a terminal, in a pipe, and what it says and how it ends
when something is wrong."""
import json
import os
import shlex
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from servers import PORTS, REPOSITORY, passwords, poll
from world import PATIENCE

STORES = ["none"]
OK, REFUSED, USAGE, UNREACHABLE = 0, 1, 2, 3


@pytest.fixture(scope="session")
def presencectl(bench):
    """The one of the plugin's build."""
    path = Path(bench.plugin).parents[1] / "ctl/presencectl"
    assert path.exists(), f"no {path}"
    return str(path)


@pytest.fixture
def ctl(presencectl, tmp_path):
    """ctl(world, 'watch', ...) runs it to its end."""
    def run(world, *words, seconds=30, home=tmp_path):
        port = ["-p", str(world.broker.port)] if world else []
        return subprocess.run([presencectl, *port, *map(str, words)], capture_output=True, text=True,
                              timeout=seconds, stdin=subprocess.DEVNULL, check=False,
                              env={**os.environ, "XDG_CONFIG_HOME": str(home)})
    return run


class Piped:
    """presencectl writing into a pipe, its lines as they come."""

    def __init__(self, command):
        self.lines = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, stdin=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait(self, predicate, what, seconds=PATIENCE):
        return poll(lambda: next((line for line in list(self.lines) if predicate(line)), None),
                    seconds, lambda: f"{what} among {self.lines}")

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def watch(presencectl):
    pipes = []

    def start(world, *words):
        pipes.append(Piped([presencectl, "-p", str(world.broker.port), "watch", *words]))
        return pipes[-1]
    yield start
    for pipe in pipes:
        pipe.process.kill()
        pipe.process.wait()


class Screen:
    """A terminal with a shell in it: tmux, on a socket of its own."""

    def __init__(self, folder, columns=90, lines=14):
        # The path of a socket has to be short.
        self.socket = f"/tmp/presence-tmux-{os.getpid()}-{PORTS.free()}"
        self.tmux("new-session", "-d", "-x", columns, "-y", lines, "-c", folder,
                  "env PS1='ready> ' bash --norc --noprofile")
        self.wait(lambda text: "ready>" in text, "a prompt")

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *map(str, words)],
                              capture_output=True, text=True, check=True).stdout

    def text(self):
        return self.tmux("capture-pane", "-p")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def type(self, line):
        self.tmux("send-keys", "-l", line)
        self.keys("Enter")

    def wait(self, predicate, what, seconds=PATIENCE):
        return poll(lambda: (lambda text: predicate(text) and text)(self.text()), seconds,
                    lambda: f"{what} on\n{self.text()}")

    def row(self, subject):
        return next((line for line in self.text().splitlines() if line.startswith(subject)), "")

    def wait_row(self, subject, *words, seconds=PATIENCE):
        return poll(lambda: all(word in self.row(subject) for word in words) and self.row(subject),
                    seconds, lambda: f"{subject} {words} on\n{self.text()}")

    def flags(self):
        """Alternate screen, cursor shown, lines wrapped."""
        return self.tmux("display-message", "-p",
                         "#{alternate_on} #{cursor_flag} #{wrap_flag}").strip()

    def assert_sane(self):
        """A shell that echoes what is typed, as before."""
        self.wait(lambda text: text.rstrip().endswith("ready>"), "a prompt")
        assert self.flags() == "0 1 1"
        self.type("stty -a | grep -oE -e '-?(icanon|echo|isig)\\b' | tr '\\n' ,")
        self.wait(lambda text: "isig,icanon,echo," in text, "a sane terminal")
        assert "grep -oE" in self.text(), "what is typed is shown"

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, check=False)
        Path(self.socket).unlink(missing_ok=True)


@pytest.fixture
def screen(tmp_path):
    shown = Screen(tmp_path)
    yield shown
    shown.close()


def table(screen, presencectl, world, *words):
    # A terminal that goes continues its processes, and LeakSanitizer, which stops what ends, would
    # wait forever; it looks on where there is no terminal.
    screen.type(shlex.join(["env", "NO_COLOR=1", "ASAN_OPTIONS=detect_leaks=0", presencectl, "-p",
                            str(world.broker.port), "watch", *words]))
    return screen.wait(lambda text: "SUBJECT" in text and "q ends" in text, "the table")


# In a terminal


def test_the_table_follows(world, screen, presencectl):
    subject, client = world.agent()
    table(screen, presencectl, world)
    row = screen.wait_row(subject, "online", "connect")
    assert row.split()[0] == subject
    other, _ = world.agent()
    screen.wait_row(other, "online")
    client.rst()
    screen.wait_row(subject, "offline", world.reason("lost"))
    world.connect(f"agent:{other.split('/')[1]}:second")
    poll(lambda: screen.row(other).split()[-1:] == ["2"], PATIENCE, screen.text)
    before = screen.row(other)
    screen.wait(lambda _: screen.row(other) != before, "time goes by")
    screen.keys("q")
    screen.assert_sane()


def test_the_table_shows_what_one_pattern_means(world, screen, presencectl):
    subject, _ = world.agent()
    world.online("admin:boss:d", "admin/boss")
    table(screen, presencectl, world, "admin")
    screen.wait_row("admin/boss", "online")
    assert not screen.row(subject)
    screen.keys("q")
    screen.assert_sane()


def test_the_table_fits_whatever_the_size(world, screen, presencectl):
    subjects = sorted(world.agent()[0] for _ in range(14))
    table(screen, presencectl, world, "agent")
    screen.wait(lambda text: "arrow keys scroll" in text, "more rows than lines")
    screen.tmux("resize-window", "-x", 50, "-y", 7)
    shown = screen.wait(lambda text: "1 to 4 of" in text, "a smaller table")
    assert len(shown.splitlines()) == 7 and all(len(line) <= 50 for line in shown.splitlines())
    first = shown.splitlines()[2]
    screen.keys("Down")
    screen.wait(lambda text: "2 to 5 of" in text and first not in text, "scrolled by one")
    screen.keys("NPage", "NPage", "NPage", "NPage", "NPage", "NPage", "NPage", "NPage", "NPage")
    screen.wait(lambda text: text.splitlines()[5].startswith(subjects[-1]), "the end")
    screen.tmux("resize-window", "-x", 100, "-y", 60)
    screen.wait(lambda text: all(subject in text for subject in subjects), "all of them")
    screen.keys("C-c")
    screen.assert_sane()


def test_a_stopped_table_gives_the_terminal_back(world, screen, presencectl):
    subject, _ = world.agent()
    table(screen, presencectl, world, subject)
    screen.keys("C-z")
    screen.assert_sane()
    screen.keys("clear", "Enter")
    screen.type("fg")
    screen.wait_row(subject, "online")
    screen.keys("C-c")
    screen.assert_sane()


def test_a_row_goes_when_its_subject_is_forgotten(make_world, screen, presencectl):
    world = make_world(options={"offline_retain_for": "300ms"})
    subject, client = world.agent()
    table(screen, presencectl, world)
    screen.wait_row(subject, "online")
    client.rst()
    screen.wait(lambda text: subject not in text, "it is gone")
    screen.keys("q")
    screen.assert_sane()


def test_the_table_comes_back_after_a_restart(make_world, screen, presencectl):
    """Afresh: with no store, the broker does not know who was there before."""
    world = make_world()
    subject, _ = world.agent()
    table(screen, presencectl, world)
    screen.wait_row(subject, "online")
    world.broker.stop()
    screen.wait(lambda text: "connecting again" in text, "that it is away")
    world.drop_clients()
    world.start()
    later, _ = world.agent()
    screen.wait_row(later, "online", seconds=25)
    text = screen.text()
    assert "connecting again" not in text and subject not in text
    screen.keys("q")
    screen.assert_sane()


# In a pipe


def test_one_line_for_each_change(world, watch):
    subject, client = world.agent()
    pipe = watch(world)
    pipe.wait(lambda line: f" {subject} online offline connect 1" in line, "how things stand")
    client.rst()
    pipe.wait(lambda line: f" {subject} offline online {world.reason('lost')} 0" in line, "the loss")
    mine = [line for line in pipe.lines if f" {subject} " in line]
    assert len(mine) == 2
    assert pipe.end() == OK


def test_json_is_what_was_published(world, watch):
    subject, _ = world.agent()
    pipe = watch(world, "--json", subject)
    line = pipe.wait(lambda text: json.loads(text)["status"] == "online", "the record")
    assert line.encode() == world.observer.last()[f"presence/{subject}"]
    assert pipe.end(signal.SIGTERM) == OK


def test_only_what_is_new(world, watch):
    old, client = world.agent()
    pipe = watch(world, "-R", "agent")
    # Subscribed when something arrives; what was retained would have come before it.
    poll(lambda: world.agent() and pipe.lines, PATIENCE, lambda: f"{pipe.lines}")
    assert not [line for line in pipe.lines if f" {old} " in line]
    client.rst()
    pipe.wait(lambda line: f" {old} offline" in line, "the change")


def test_patterns(world, watch):
    subject, _ = world.agent()
    name = subject.split("/")[1]
    world.online(f"admin:{name}:d", f"admin/{name}")
    pipe = watch(world, f"+/{name}", "--json", "-C", "2")
    assert pipe.process.wait(PATIENCE) == OK
    pipe.thread.join(PATIENCE)
    assert sorted(json.loads(line)["role"] for line in pipe.lines) == ["admin", "agent"]


def test_ids_that_need_care(world, watch):
    world.online("agent:a/b +#%ö:d", "agent/a/b +#%ö")
    pipe = watch(world, "agent/a/b +#%ö", "-C", "1")
    assert pipe.process.wait(PATIENCE) == OK
    pipe.thread.join(PATIENCE)
    assert " agent/a/b +#%ö online " in pipe.lines[0]


def test_who_is_forgotten(make_world, watch):
    world = make_world(options={"offline_retain_for": "300ms"})
    subject, client = world.agent()
    lines, records = watch(world), watch(world, "--json")
    lines.wait(lambda line: f" {subject} online" in line, "it")
    records.wait(lambda line: subject.split("/")[1] in line, "it")
    client.rst()
    lines.wait(lambda line: line.endswith(f" {subject} offline - forgotten 0"), "it is forgotten")
    gone = records.wait(lambda line: "forgotten" in line, "it is forgotten")
    role, name = subject.split("/")
    assert json.loads(gone) == {"role": role, "id": name, "status": "offline", "forgotten": True}


def test_payload_format_text(make_world, watch):
    world = make_world(options={"payload_format": "text"})
    world.connect("agent:plain:d")
    pipe = watch(world)
    pipe.wait(lambda line: " agent/plain online " in line, "it")


def test_what_clients_say_is_no_record(make_world, watch):
    """Of themselves, or of others; on brokers where it reaches a reader before the record does."""
    world = make_world(plugin=False)
    boss = RECORD.replace('"agent"', '"admin"').replace('"u1"', '"boss"')
    client = world.connect("anybody")

    def say(topic, payload, retain=False):
        client.publish(f"presence/{topic}", payload, retain=retain, qos=1)
    say("agent/u1", RECORD, retain=True)
    pipe = watch(world)
    pipe.wait(lambda line: " agent/u1 online " in line, "its record")
    say("agent/u1", "offline")
    say("agent/u2", boss)
    say("agent/u3", "away")  # with payload_format text that is one
    say("agent/u1", "")
    say("agent/u1", "dnd")
    pipe.wait(lambda line: " agent/u1 dnd " in line, "the last")
    assert [line.split()[1:3] for line in pipe.lines] == [
        ["agent/u1", "online"], ["agent/u3", "away"], ["agent/u1", "offline"], ["agent/u1", "dnd"]]


def test_a_reader_that_leaves_ends_it(world, presencectl):
    world.agent()
    read_end, write_end = os.pipe()
    process = subprocess.Popen([presencectl, "-p", str(world.broker.port), "watch"],
                               stdout=write_end, stderr=subprocess.DEVNULL)
    os.close(write_end)
    assert os.read(read_end, 10)
    os.close(read_end)
    process.wait(PATIENCE)


def test_a_pipe_outlives_a_restart(make_world, watch):
    world = make_world(store="state_file")
    pipe = watch(world)
    subject, _ = world.agent()
    pipe.wait(lambda line: f" {subject} online" in line, "the first")
    world.restart(signal.SIGTERM)
    later, _ = world.agent()
    pipe.wait(lambda line: f" {later} online" in line, "the one after the restart", 25)
    assert pipe.end() == OK
    assert "connecting again" in pipe.process.stderr.read()


# The connection


def test_ways_to_connect(make_world, ctl, tmp_path):
    socket_path = f"/tmp/presence-ctl-{PORTS.free()}.sock"
    try:
        world = make_world(tail=f"listener 0 {socket_path}\n")
        world.agent()
        port = world.broker.port
        for words in (["-h", "127.0.0.1"], ["-V", "mqttv311"], ["-i", "presencectl-mine"],
                      ["--unix", socket_path], ["-L", f"mqtt://localhost:{port}"],
                      ["-u", "anybody", "-P", "x"] if not world.mosquitto.name.startswith("2.0")
                      else []):
            found = ctl(world, "watch", "-C", 1, *words)
            assert found.returncode == OK, (words, found)
            assert " online " in found.stdout
        (tmp_path / "presencectl").write_text(f"# mine\n-h localhost\n-p {port}\n")
        assert ctl(None, "watch", "-C", 1).returncode == OK
    finally:
        Path(socket_path).unlink(missing_ok=True)


def certificate(folder, name):
    """A key, and a certificate for localhost signed by itself."""
    key, cert = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    return key, cert


def test_tls(make_world, ctl, tmp_path):
    key, cert = certificate(tmp_path, "broker")
    _, other = certificate(tmp_path, "other")
    port = PORTS.free()
    world = make_world(tail=f"listener {port} 127.0.0.1\ncertfile {cert}\nkeyfile {key}\n")
    world.agent()
    once = ["watch", "-C", "1", "-p", port]
    found = ctl(None, *once, "--cafile", cert)
    assert found.returncode == OK and " online " in found.stdout, found
    found = ctl(None, *once, "--cafile", cert, "--tls-version", "tlsv1.2")
    assert found.returncode == OK, found
    for words in (["--cafile", other], ["-L", f"mqtts://localhost:{port}"],
                  ["--cafile", cert, "-h", "127.0.0.1"]):
        found = ctl(None, *once, *words)
        assert found.returncode == UNREACHABLE and "TLS failed" in found.stderr, (words, found)
    found = ctl(None, *once, "--cafile", cert, "-h", "127.0.0.1", "--insecure")
    assert found.returncode == OK, found
    found = ctl(None, *once)
    assert found.returncode == UNREACHABLE and "needs TLS (--cafile)" in found.stderr
    assert ctl(None, *once, "--cafile", tmp_path / "nothing").returncode == USAGE


def test_a_wrong_password_is_a_no(make_world, ctl, tmp_path):
    path = passwords(tmp_path / "passwords", "admin.ops", "right")
    world = make_world(anonymous=False, tail=f"password_file {path}\nallow_anonymous false\n",
                       start=False)
    world.broker.start()
    for words in (["-u", "admin.ops", "-P", "wrong"], [], ["-u", "admin.ops", "-P", "wrong", "-V",
                                                           "mqttv311"]):
        found = ctl(world, "watch", "-C", 1, *words)
        assert found.returncode == REFUSED and "check -u and -P" in found.stderr, found


def test_nobody_there(ctl):
    found = ctl(None, "watch", "-p", PORTS.free())
    assert found.returncode == UNREACHABLE and "nobody listens there" in found.stderr, found
    found = ctl(None, "list", "-h", "nosuchhost.invalid", "--timeout", "2s")
    assert found.returncode == UNREACHABLE, found


def test_somebody_silent(ctl):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = ctl(None, "list", "-h", "127.0.0.1", "-p", port, "--timeout", "300ms", seconds=10)
    assert found.returncode == UNREACHABLE and "is it an MQTT broker?" in found.stderr, found


def test_somebody_who_does_not_even_accept(ctl):
    """A full queue of connections: the kernel would try for minutes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port, waiting = server.getsockname()[1], []
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(("127.0.0.1", port))
        found = ctl(None, "list", "-h", "127.0.0.1", "-p", port, "--timeout", "500ms", seconds=10)
        for one in waiting:
            one.close()
    assert found.returncode == UNREACHABLE and "no connection in 500 ms" in found.stderr, found


def test_a_mistake_on_the_command_line(ctl):
    found = ctl(None, "wach")
    assert found.returncode == USAGE and "did you mean watch?" in found.stderr, found


# doctor


def checks(found):
    """check -> result, and what is to be done."""
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    return {line["check"]: line["result"] for line in lines}, {
        line["check"]: line.get("fix") for line in lines}


def test_doctor_looks_at_a_broker(make_world, ctl):
    world = make_world(store="redis")
    poll(lambda: world.stats().get("redis/state") == "ready", 25, "Redis is ready")
    before = world.retained()
    found = ctl(world, "doctor", "--json")
    result, fix = checks(found)
    assert result["broker"] == "ok" and world.mosquitto.version() in found.stdout, found
    assert result["redis"] == result["eviction"] == result["queue"] == "ok", found
    assert result["topics"] == "ok", found
    assert result["reasons"] == ("ok" if world.mosquitto.knows_why else "warn"), found
    assert all((fix[check] is None) == (result[check] == "ok") for check in result), found
    assert found.returncode == (REFUSED if "fail" in result.values() else OK)
    assert world.retained() == before, "something was left behind"
    # On a machine that is busy with other things an answer may take its time, but not each time.
    poll(lambda: checks(ctl(world, "doctor", "--json"))[0]["latency"] == "ok", 60, "quick answers")
    people = ctl(world, "doctor")
    assert f"ok    broker   localhost:{world.broker.port}, mosquitto version" in people.stdout


def test_doctor_finds_wills_that_strangers_can_leave(make_world, ctl):
    open_world = make_world(options={"topic_guard": "off"})
    found = ctl(open_world, "doctor", "--json")
    result, fix = checks(found)
    assert result["wills"] == "fail" and "topic_guard" in fix["wills"], found
    assert found.returncode == REFUSED
    assert not [topic for topic in open_world.retained() if "presencectl" in topic]
    acl = make_world.folder / "acl"
    acl.write_text("topic read #\ntopic readwrite $CONTROL/#\ntopic read $SYS/#\n")
    acl.chmod(0o644)
    closed = make_world(options={"topic_guard": "off"}, tail=f"acl_file {acl}\n")
    assert checks(ctl(closed, "doctor", "--json"))[0]["wills"] == "ok"


def test_doctor_finds_that_there_is_no_plugin(make_world, ctl):
    world = make_world(plugin=False)
    found = ctl(world, "doctor", "--json", "--timeout", "1s")
    result, fix = checks(found)
    assert result["plugin"] == result["topics"] == result["wills"] == "fail", found
    assert "mosquitto_presence.so" in fix["plugin"]
    assert found.returncode == REFUSED
    assert not world.retained(), "something was left behind"


def test_doctor_finds_that_redis_evicts_or_is_away(make_world, ctl):
    world = make_world(store="redis", start=False)
    world.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    world.start()
    poll(lambda: world.stats().get("redis/eviction") == "1", 25, "eviction is noticed")
    result, fix = checks(ctl(world, "doctor", "--json"))
    assert result["eviction"] == "warn" and "noeviction" in fix["eviction"]
    world.redis.stop()
    poll(lambda: world.stats().get("redis/state") != "ready", 25, "Redis is missed")
    found = ctl(world, "doctor", "--json")
    assert checks(found)[0]["redis"] == "fail" and found.returncode == REFUSED, found


def test_doctor_tries_an_admin_with_a_wrong_password(make_world, ctl, tmp_path):
    path = passwords(tmp_path / "passwords", "admin.ops", "right")
    passwords(path, "agent.u1", "other")
    who = ["-u", "agent.u1", "-P", "other", "--admin", "admin.ops"]
    guarded = make_world(anonymous=False, tail=f"password_file {path}\nallow_anonymous false\n",
                         start=False)
    guarded.broker.start()
    found = ctl(guarded, "doctor", "--json", *who)
    result, _ = checks(found)
    assert result["admin"] == result["login"] == result["topics"] == "ok", found
    # Everybody comes in: on 2.0 by auth_mode, on 2.1 because nobody asks for passwords.
    open_world = make_world(options={"auth_mode": "allow"})
    found = ctl(open_world, "doctor", "--json", *who)
    assert checks(found)[0]["admin"] == "fail" and found.returncode == REFUSED, found


def test_doctor_without_a_broker(ctl):
    found = ctl(None, "doctor", "-p", PORTS.free())
    assert found.returncode == UNREACHABLE and found.stdout.startswith("fail  broker"), found


# Commands

ADMIN = ["-u", "admin.ops", "-P", "right"]


@pytest.fixture
def office(make_world, tmp_path):
    """Usernames with passwords, one of them an admin's."""
    path = passwords(tmp_path / "passwords", "admin.ops", "right")
    passwords(path, "agent.u1", "mine")
    return make_world(options={"identity": ["username {role}.{id}", "clientid {role}:{id}:{device}"]},
                      tail=f"password_file {path}\n")


def fields(found):
    """The rows of a table, without its head."""
    return [line.split() for line in found.stdout.splitlines()[1:]]


def test_get(office, ctl):
    subject, _ = office.agent()
    found = ctl(office, "get", subject, "agent/nobody")
    assert found.returncode == OK, found
    assert [row[:3] for row in fields(found)] == [[subject, "online", "connect"],
                                                  ["agent/nobody", "offline", "unknown"]]
    found = ctl(office, "get", "--json", subject, "-V", "mqttv311")
    record, = json.loads(found.stdout)["subjects"]
    assert record == json.loads(office.observer.last()[f"presence/{subject}"])
    assert ctl(office, "get", "nobody").returncode == USAGE


def test_a_subject_whose_name_needs_care(office, ctl):
    office.online("agent:50%/a b:d", "agent/50%/a b")
    found = ctl(office, "get", "--json", "agent/50%/a b")
    assert json.loads(found.stdout)["subjects"][0]["status"] == "online", found


def test_list_page_by_page(office, ctl):
    subjects = {office.agent()[0] for _ in range(5)}
    seen, after = set(), []
    for _ in range(6):
        found = ctl(office, "list", *ADMIN, "--json", "--role", "agent", "--status", "online", "-C",
                    "2", *after)
        assert found.returncode == OK, found
        data = json.loads(found.stdout)
        seen |= {f"{one['role']}/{one['id']}" for one in data["subjects"]}
        if "after" not in data:
            break
        after = ["--after", data["after"]]
    assert seen == subjects
    found = ctl(office, "list", *ADMIN, "-C", "2")
    assert "2 of 5; the next ones: --after agent/" in found.stdout, found


def test_list_goes_on_behind_names_that_need_care(office, ctl):
    names = ["agent/x/y", "agent/50%", "agent/a%2Fb", "agent/a +#${}", "agent/plain"]
    for name in names:
        office.online(f"{name.replace('/', ':', 1)}:d", name)

    def page(*more):
        found = ctl(office, "list", *ADMIN, "--role", "agent", "-C", "1", *more)
        assert found.returncode == OK, found
        return found.stdout

    seen, more = [], []
    for _ in range(len(names) + 1):
        text = page(*more)
        seen += [name for name in names if f"\n{name}  " in text]
        if "--after " not in text:
            break
        more = ["--after", text.rsplit("--after ", 1)[1].rstrip("\n")]
    assert sorted(seen) == sorted(names)


def test_who_is_no_admin_is_told_what_to_do(office, ctl):
    for words in (["list"], ["stats"], ["nodes"], ["kick", "x"], ["forget", "agent/u1"],
                  ["override", "agent/u9", "dnd"], ["clear", "agent/u9"]):
        for who in ([], ["-u", "agent.u1", "-P", "mine"]):
            found = ctl(office, *words, *who)
            assert found.returncode == REFUSED and "only admins" in found.stderr, (words, found)


def test_override_and_clear(office, ctl):
    subject, _ = office.agent()
    mark = office.observer.mark()
    found = ctl(office, "override", subject, "dnd", *ADMIN, "--ttl", "1.5min", "--note", "in a call")
    assert found.returncode == OK, found
    record = office.observer.wait(subject, "dnd", mark, reason="override", note="in a call").record
    assert 80000 < record["until"] - record["since"] < 100000
    row, = fields(ctl(office, "get", subject))
    assert row[1:3] == ["dnd", "override"] and row[-3:] == ["in", "a", "call"]
    assert ctl(office, "clear", subject, *ADMIN).returncode == OK
    office.observer.wait(subject, "online", mark)
    assert ctl(office, "override", subject, "busy", *ADMIN).returncode == USAGE


def test_set_is_a_device_until_it_ends(office, presencectl):
    mark = office.observer.mark()
    pipe = Piped([presencectl, "-p", str(office.broker.port), "set", "away", "-i", "agent:shell:d",
                  "--note", "back soon"])
    try:
        office.observer.wait("agent/shell", "away", mark, note="back soon", source="app")
        pipe.wait(lambda line: line == "away, until Ctrl-C", "that it holds")
        assert pipe.end() == OK
        # 2.0 cannot tell a goodbye, but leave can.
        office.observer.wait("agent/shell", "offline", mark, reason="leave")
    finally:
        pipe.process.kill()


def test_set_needs_a_device(office, ctl):
    assert ctl(office, "set", "away").returncode == USAGE
    found = ctl(office, "set", "away", "-i", "presencectl-x")
    assert found.returncode == REFUSED and "not tracked" in found.stderr, found


def test_kick_and_forget(office, ctl):
    subject, client = office.agent()
    mark = office.observer.mark()
    assert ctl(office, "forget", subject, *ADMIN).returncode == REFUSED
    found = ctl(office, "kick", client.client_id, *ADMIN)
    assert found.returncode == OK, found
    client.wait_closed()
    office.observer.wait(subject, "offline", mark, reason="kicked")
    assert ctl(office, "forget", subject, *ADMIN).returncode == OK
    office.observer.wait_for(lambda one: one.topic == f"presence/{subject}" and not one.payload,
                             "the empty record", mark=mark)
    found = ctl(office, "kick", client.client_id, *ADMIN)
    assert found.returncode == REFUSED, found


def test_stats_and_nodes(office, ctl):
    office.agent()
    found = ctl(office, "stats", *ADMIN)
    rows = dict(line.split(None, 1) for line in found.stdout.splitlines())
    assert rows["subjects"] == "1" and rows["online/agent"] == "1", found
    assert json.loads(ctl(office, "stats", "--json", *ADMIN).stdout)["subjects"] == 1
    found = ctl(office, "nodes", *ADMIN)
    assert ["node", "b1"] in [line.split() for line in found.stdout.splitlines()], found


def test_a_broker_without_the_plugin_does_not_answer(make_world, ctl):
    world = make_world(plugin=False)
    found = ctl(world, "get", "agent/u1", "--timeout", "500ms")
    if world.mosquitto.name.startswith("2.0"):
        assert found.returncode == UNREACHABLE and "presencectl doctor" in found.stderr, found
    else:
        assert found.returncode == REFUSED, found


# check-config against what the brokers do


@pytest.mark.parametrize("line", ["plugin_opt_grace\t3s", "plugin_opt_grce 3s", " # a comment",
                                  "password_file /dev/null # none", "plugin_opt_grace"])
def test_what_check_config_calls_an_error_stops_the_broker(make_world, ctl, line):
    world = make_world(start=False, tail="")
    conf = world.broker.conf_path
    fine = ctl(None, "check-config", conf)
    assert fine.returncode == OK, fine
    conf.write_text(conf.read_text() + line + "\n")
    number = len(conf.read_text().splitlines())
    found = ctl(None, "check-config", conf)
    assert found.returncode == REFUSED and f"{conf}:{number}: error: " in found.stdout, found
    world.broker.start(wait=False)
    assert world.broker.wait_end() != 0


def test_the_example_is_good(ctl):
    found = ctl(None, "check-config", REPOSITORY / "mosquitto.conf.example")
    assert found.returncode == OK, found
    warnings = [line for line in found.stdout.splitlines() if ": warning: " in line]
    assert all("topic_guard" in line for line in warnings), found


def test_what_somebody_else_wrote_does_not_act_on_a_terminal(make_world, presencectl):
    """Without the plugin's guard anybody may write there, in JSON or in lines for people."""
    world = make_world(plugin=False)
    forged = RECORD.replace('"v"', '"x":"\x1b[2J\x9b\n","v"')
    writer = world.connect("writer")
    for name, payload in [("bad", forged), ("good", RECORD)]:
        writer.publish(f"presence/agent/{name}", payload.replace('"u1"', f'"{name}"'), qos=1,
                       retain=True)
    for words in [["--json"], []]:
        ended = subprocess.run([presencectl, "-p", str(world.broker.port), "watch", "-C", "2",
                                *words], capture_output=True, timeout=30, check=True)
        lines = ended.stdout.decode().rstrip("\n").split("\n")
        assert len(lines) == 2 and all(line.isprintable() for line in lines), lines


RECORD = ('{"v":1,"role":"agent","id":"u1","status":"online","previous":"offline",'
          '"reason":"connect","source":"inferred","devices":1,"since":1,"last_seen":1,"rev":1,'
          '"node":"b1"}')
