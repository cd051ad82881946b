# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What topic_guard costs: the broker asks about each message for each of its subscribers.

    python3 bench/guard.py --build build/bench [--groups N] [--versions 2.1 ..]

Three brokers at once: bare, the plugin with topic_guard off, and with it on. Each in turn, in the
order A B C C B A, gets the same messages for 1, 10 and 100 subscribers; CPU is what the kernel
counted on the broker's main thread, per message delivered."""
import argparse
import socket
import statistics
import tempfile
import time
from pathlib import Path

from rows import spread, table
from run import VERSIONS, progress
from targets import CONF, PLUGIN, schedstat
from servers import Broker, find_mosquitto  # noqa: E402
from mqtt import Client  # noqa: E402

VARIANTS = ["bare", "guard off", "guard on"]
ORDER = [0, 1, 2, 2, 1, 0]
SUBSCRIBERS = [1, 10, 100]
DELIVERIES, BURST, PAYLOAD = 40000, 50, b"x" * 64
PATIENCE = 30


class Subscribers:
    """Count connections that have subscribed; they take what comes as bytes."""

    def __init__(self, port, count):
        self.clients = [Client(port, f"agent:reader{number}:d") for number in range(count)]
        for client in self.clients:
            assert client.subscribe("bench/topic") == 0
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def take(self, size):
        """Reads so many bytes from each."""
        until = time.monotonic() + PATIENCE
        for client in self.clients:
            client.socket.settimeout(max(until - time.monotonic(), 0.001))
            left = size
            while left:
                got = client.socket.recv(min(left, 1 << 16))
                assert got, "the broker has closed the connection"
                left -= len(got)

    def close(self):
        for client in self.clients:
            client.disconnect()


def start(mosquitto, variant, plugin, folder):
    conf = CONF
    if variant:
        on = "auto" if mosquitto.knows_why else "allow"
        conf += PLUGIN.replace("{plugin}", plugin)
        conf += f"plugin_opt_topic_guard {on if variant == 2 else 'off'}\n"
    return Broker(mosquitto, folder / f"broker{variant}", conf).start()


def packet():
    body = b"\0\x0bbench/topic" + PAYLOAD
    return b"\x30" + bytes([len(body)]) + body


def slice_of(broker, count):
    """CPU of the broker, in µs, per message that it has delivered to one of count subscribers."""
    pid, messages, one = broker.process.pid, DELIVERIES // count // BURST * BURST, packet()
    readers = Subscribers(broker.port, count)
    writer = Client(broker.port, "agent:writer:d")
    writer.ping()
    before = schedstat(pid, pid)
    for _ in range(0, messages, BURST):
        writer.socket.sendall(one * BURST)
        readers.take(len(one) * BURST)
    took = schedstat(pid, pid) - before
    writer.disconnect()
    readers.close()
    return took / (messages * count)


def measure(name, arguments, folder):
    """subscribers -> variant -> µs per message, one of each group."""
    mosquitto = find_mosquitto(name)
    plugin = str(arguments.build / "plugin/mosquitto_presence.so")
    brokers, found = [], {count: [[] for _ in VARIANTS] for count in SUBSCRIBERS}
    try:
        for variant in range(len(VARIANTS)):
            brokers.append(start(mosquitto, variant, plugin, folder / name))
        for broker in brokers:
            slice_of(broker, 10)
        for number in range(arguments.groups):
            for count in SUBSCRIBERS:
                group = [[], [], []]
                for variant in ORDER:
                    group[variant].append(slice_of(brokers[variant], count))
                for variant, values in enumerate(group):
                    found[count][variant].append(statistics.mean(values))
            progress(f"mosquitto {mosquitto.version()}: group {number + 1}")
    finally:
        for broker in brokers:
            broker.stop()
    return mosquitto.version(), found


def rows_of(version, found):
    for count, variants in found.items():
        row = [version, count]
        for variant, values in enumerate(variants):
            row.append(spread(values, 2))
            if variant:
                ratios = [value / bare for value, bare in zip(values, variants[0])]
                row.append(spread(ratios, 2))
        row.append(spread([on / off for on, off in zip(variants[2], variants[1])], 2))
        yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--versions", nargs="+", default=["2.1"], choices=VERSIONS)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as folder:
        for name in arguments.versions:
            rows += rows_of(*measure(name, arguments, Path(folder)))
    print(table(["mosquitto", "subscribers", "bare, µs", "guard off", "of bare", "guard on",
                     "of bare", "on of off"], rows))


if __name__ == "__main__":
    main()
