# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Much is retained: a restart of the broker with it, a subscriber who gets all of it, and one who
does not read for a while. Three brokers have the same file of retained messages: it is made once,
by the plugin, while as many devices come and go."""
import json
import shutil
import subprocess
import time

from rows import BARE, PRESENCE, PUBLISH
from targets import CONF, PATIENCE, PEER, PLUGIN, Load
from servers import Broker  # noqa: E402  (targets says where it is)
from mqtt import Client, Refused  # noqa: E402

PERSISTENT = """
persistence true
autosave_interval 0
persistence_location {folder}/
"""
# Those with a store of its own: nothing of it is in the broker's file.
STATE = """
plugin_opt_state_file {folder}/state.db
plugin_opt_subjects_max 1000000
"""
KEPT = ["mosquitto.db", "state.db"]
BEFORE = ["state.db-wal", "state.db-shm"]  # of the boot before
PAUSE_MS = 2000
LOOK_S = 0.0005
ORDER = {BARE: [BARE, PRESENCE, PRESENCE, BARE],
         PUBLISH: [PUBLISH, PRESENCE, PRESENCE, PUBLISH]}


class Kept:
    """A broker with what was retained before it started."""

    def __init__(self, name, mosquitto, build, folder):
        self.name, self.folder, self.build = name, folder, build
        conf = CONF + PERSISTENT
        if name == PUBLISH:
            conf += PEER.format(peers=build / "bench", name="publish")
        if name == PRESENCE:
            conf += PLUGIN.replace("{plugin}", str(build / "plugin/mosquitto_presence.so")) + STATE
        self.broker = Broker(mosquitto, folder, conf.replace("{folder}", str(folder)))

    def put_back(self, folder):
        """What it had at first, whatever it made of it since."""
        for name in KEPT[:1 + (self.name == PRESENCE)]:
            shutil.copy(folder / name, self.folder / name)
        for name in BEFORE:
            (self.folder / name).unlink(missing_ok=True)

    def boot(self):
        """Seconds from before exec until a client has its CONNACK."""
        start = time.monotonic()
        self.broker.start(wait=False)
        while True:
            try:
                client = Client(self.broker.port, "presencectl-first")
                break
            except (OSError, Refused):
                if not self.broker.alive() or time.monotonic() - start > PATIENCE:
                    raise SystemExit("the broker does not start; its log:\n"
                                     + self.broker.log()[-3000:]) from None
                time.sleep(LOOK_S)
        took = time.monotonic() - start
        client.disconnect()
        return took

    def words(self, subjects, rev=0, pause_ms=0, changes=0):
        return [str(word) for word in (self.build / "bench/reader_bench", self.broker.port,
                                       self.broker.process.pid, subjects, rev, pause_ms, changes)]

    def read(self, subjects, **how):
        """What a subscriber saw, and how much of it was wrong."""
        done = subprocess.run(self.words(subjects, **how), capture_output=True, text=True,
                              timeout=120, check=False)
        return seen_of(done.stdout, done.stderr)

    def read_changes(self, load, subjects):
        """The same; there is a load while it does not read."""
        with subprocess.Popen(self.words(subjects, pause_ms=PAUSE_MS, changes=load.cycles),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
            if reader.stdout.readline() == "ready\n":
                wrong = run_load(self, load)["wrong"]
            out, err = reader.communicate(timeout=120)
        seen = seen_of(out, err)
        seen["wrong"] += wrong
        return seen


def seen_of(out, err):
    if not out:
        raise SystemExit(f"the measurement failed: a reader: {err}")
    seen = json.loads(out)
    seen["wrong"] = sum(seen.get(what, 0) for what in
                        ("missing", "twice", "lost", "duplicates", "reordered"))
    return seen


def run_load(kept, load):
    words = [kept.build / "bench/broker_bench", kept.broker.port, kept.broker.process.pid, 1,
             *load.words]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300,
                          check=False)
    if not done.stdout:
        raise SystemExit(f"the measurement failed: {load.name}: {done.stderr}\n"
                         f"the broker's log:\n{kept.broker.log()[-3000:]}")
    seen = json.loads(done.stdout)
    return {"wrong": sum(seen[what] for what in ("lost", "duplicates", "reordered", "refused"))}


def make(mosquitto, build, folder, subjects):
    """A folder with the files of a broker whose devices have come and gone, which a newer version
    can read too; and how many of their transitions were wrong."""
    kept = Kept(PRESENCE, mosquitto, build, folder)
    kept.broker.start()
    try:
        wrong = run_load(kept, Load("as many come and go", subjects))["wrong"]
    finally:
        kept.broker.stop()
    return {"folder": folder, "wrong": wrong}


class Retained:
    """The three of one version."""

    def __init__(self, mosquitto, build, folder, made, subjects):
        self.made, self.subjects = made, subjects
        self.kept = {who: Kept(who, mosquitto, build, folder / who)
                     for who in (BARE, PUBLISH, PRESENCE)}

    def close(self):
        for kept in self.kept.values():
            kept.broker.kill()

    def restarts(self):
        """who -> seconds, of two restarts each."""
        took = {BARE: [], PRESENCE: []}
        for who in ORDER[BARE]:
            kept = self.kept[who]
            kept.put_back(self.made)
            took[who].append(kept.boot())
            kept.broker.kill()
        return took

    def say_again(self):
        """Starts those who are to be read from. Seconds until everybody was said again."""
        self.kept[PUBLISH].put_back(self.made)
        self.kept[PUBLISH].boot()
        kept = self.kept[PRESENCE]
        kept.put_back(self.made)
        rev, start = time.time_ns() // 1000, time.monotonic()
        kept.boot()
        seen = kept.read(self.subjects, rev=rev)
        return {**seen, "s": time.monotonic() - start}

    def reads(self):
        """who -> what two subscribers saw."""
        seen = {PUBLISH: [], PRESENCE: []}
        for who in ORDER[PUBLISH]:
            seen[who].append(self.kept[who].read(self.subjects))
        return seen

    def measure(self, sizes, has_time, tell):
        """has_time() says whether there may be another round; tell(text) is for who waits."""
        def rounds(many, what, one):
            found = []
            while not found or (len(found) < many and has_time()):
                found.append(one())
                tell(f"{what} {len(found)} of {many} times")
            return found
        restarts = rounds(sizes.restarts, "restarted", self.restarts)
        again = self.say_again()
        tell(f"all is said again in {again['s']:.0f} s")
        reads = rounds(sizes.reads, "new watchers", self.reads)
        kept = self.kept[PRESENCE]
        tell("a watcher reads nothing for a while, twice")
        return {"subjects": self.subjects, "restarts": restarts, "again": again, "reads": reads,
                "paused": kept.read(self.subjects, pause_ms=PAUSE_MS),
                "changes": sizes.paused_load.cycles,
                "paused changes": kept.read_changes(sizes.paused_load, self.subjects)}
