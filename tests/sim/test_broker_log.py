# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The model of the broker is honest: what clients do raises the same events, in the same order, in a
real broker with a plugin that writes them down and in the model.
    test_broker_log.py RECORDER SIM BROKER
"""
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

import mqtt  # noqa: E402
from servers import Broker, find_mosquitto, passwords  # noqa: E402

IDS = ["agent:u1:web", "agent:u1:phone", "agent:u2:web", "agent:u2:a/b", "device:d%1",
       "odd+name", "admin:root:x"]
TOPICS = ["presence/agent/u1", "presence/agent/u1", "presence/agent/u2", "presence/agent/u2",
          "presence/device/d%251", "presence/client/odd%2Bname", "presence/admin/root"]
PERSISTENT, WILL, WEBSOCKET, KEEPALIVE_2 = 1, 2, 4, 8

# Each line a story: what client 0 (mostly) does, one thing after the other.
STORIES = [
    ("goodbye", [("connect", 0, 0), ("goodbye", 0, 0)]),
    ("goodbye, session kept", [("connect", 0, PERSISTENT), ("goodbye", 0, 0)]),
    ("goodbye with the will", [("connect", 0, WILL), ("goodbye", 0, 1)]),
    ("will not sent", [("connect", 0, WILL), ("goodbye", 0, 0)]),
    ("drop", [("connect", 0, 0), ("drop", 0, 0)]),
    ("drop with will", [("connect", 0, WILL), ("drop", 0, 0)]),
    ("drop, session kept, back", [("connect", 0, PERSISTENT), ("drop", 0, 0),
                                  ("connect", 0, PERSISTENT), ("goodbye", 0, 0)]),
    ("drop with will, session kept", [("connect", 0, PERSISTENT | WILL), ("drop", 0, 0)]),
    ("session kept, back clean", [("connect", 0, PERSISTENT), ("drop", 0, 0), ("connect", 0, 0)]),
    ("takeover", [("connect", 0, 0), ("connect", 0, 0), ("connect", 0, 0)]),
    ("takeover with will", [("connect", 0, WILL), ("connect", 0, WILL)]),
    ("takeover of a kept session", [("connect", 0, PERSISTENT | WILL), ("connect", 0, PERSISTENT)]),
    ("takeover of a kept session, clean", [("connect", 0, PERSISTENT | WILL), ("connect", 0, 0)]),
    ("takeover over WebSocket", [("connect", 0, WEBSOCKET), ("connect", 0, WEBSOCKET)]),
    ("drop over WebSocket", [("connect", 0, WEBSOCKET | WILL), ("drop", 0, 0)]),
    ("keepalive", [("connect", 0, KEEPALIVE_2), ("vanish", 0, 0)]),
    ("somebody fails to log in", [("connect", 0, 0), ("spoof", 0, 0), ("publish", 0, 0)]),
    ("somebody fails, nobody there", [("spoof", 0, 0)]),
    ("publish", [("connect", 0, 0), ("publish", 0, 0), ("connect", 2, 0), ("publish", 2, 0)]),
    ("end of the broker", [("connect", 0, WILL), ("connect", 2, 0), ("stop", 0, 0)]),
]


class Real:
    def __init__(self, name, recorder, folder):
        self.log = folder / "events"
        secret = passwords(folder / "passwords", "user", "right")
        self.broker = Broker(find_mosquitto(name), folder, f"""\
user root
listener {{port}} 127.0.0.1
listener {{ws_port}} 127.0.0.1
protocol websockets
allow_anonymous true
password_file {secret}
plugin {recorder}
plugin_opt_file {self.log}
""").start()
        self.clients = {}

    def lines(self):
        return self.log.read_text().splitlines()

    def wait(self, count):
        """So many events are to come; any more would come right behind them."""
        deadline = time.monotonic() + 15
        while len(self.lines()) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)

    def connect(self, who, look):
        will = (TOPICS[who], b"offline", 0, False) if look & WILL else None
        five = look & WILL or look & PERSISTENT
        self.clients[who] = mqtt.Client(
            self.broker.ws_port if look & WEBSOCKET else self.broker.port, IDS[who],
            version=5 if five else 4, ws=bool(look & WEBSOCKET), will=will,
            clean=not look & PERSISTENT, keepalive=2 if look & KEEPALIVE_2 else 60)

    def goodbye(self, who, with_will):
        self.clients[who].disconnect(reason=4 if with_will else 0)

    def drop(self, who, _):
        self.clients[who].rst()

    def vanish(self, who, _):
        pass  # raw sockets send no pings

    def spoof(self, who, _):
        try:
            mqtt.Client(self.broker.port, IDS[who], username="user", password="wrong")
        except mqtt.Refused:
            return
        raise AssertionError("it was let in")

    def publish(self, who, _):
        self.clients[who].publish("some/topic", b"hello")

    def stop(self, *_):
        self.broker.stop()

    def run(self, steps, counts):
        for (word, who, what), count in zip(steps, counts):
            getattr(self, word)(who, what)
            self.wait(count)
        lines = self.lines()
        if self.broker.alive():
            self.broker.kill()
        return lines


def modelled(sim, name, steps, folder):
    listing = folder / "operations"
    at, text = 0, "seed 1\n"
    for word, who, what in steps:
        at += 12000 if word == "vanish" else 1000
        text += f"{at - (11000 if word == 'vanish' else 0)} {word} {who} {what} 0\n"
    listing.write_text(text + f"{at} publish 6 0 0\n")  # nobody: only time passes
    out = subprocess.run([sim, "--broker-log", name, "--replay", listing], capture_output=True,
                         text=True, check=False).stdout
    return [line[2:] for line in out.splitlines() if line.startswith("@ ")]


def main():
    recorder, sim, name = sys.argv[1:]
    failures = 0
    for title, steps in STORIES:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            folder.chmod(0o755)
            counts = [len(modelled(sim, name, steps[:i + 1], folder)) for i in range(len(steps))]
            real = Real(name, recorder, folder).run(steps, counts)
            ours = modelled(sim, name, steps, folder)
        if real != ours:
            failures += 1
            print(f"{name}, {title}:\n  broker: {real}\n  model:  {ours}")
    print(f"{name}: {len(STORIES) - failures} of {len(STORIES)} stories agree")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
