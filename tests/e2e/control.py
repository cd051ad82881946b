# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Commands on $CONTROL/presence/v1, and their answers."""
import json

from mqtt import text
from servers import SECRET, passwords
from world import World

TOPIC = "$CONTROL/presence/v1"
RESPONSE = TOPIC + "/response"
# Names with a password make subjects; so do client ids, for whoever needs no rights.
IDENTITY = ["username {role}.{id}", "clientid {role}:{id}:{device}", "clientid {role}:{id}"]
ADMIN = {"username": "admin.root", "password": SECRET}
KIM = {"username": "agent.kim", "password": SECRET}
FAST = {"command_rate": "10000/s burst 10000"}


def send(client, payload, qos=1, response=None, correlation=None):
    """Asks, and returns the one message that answers."""
    properties = b""
    if response is not None:
        properties += b"\x08" + text(response)
    if correlation is not None:
        properties += b"\x09" + text(correlation)
    client.inbox.clear()
    client.publish(TOPIC, payload, qos=qos, properties=properties)
    return receive(client)


def receive(client, seconds=8):
    while not client.inbox:
        client._handle(client.read_packet(seconds))
    return client.inbox.pop(0)


def ask_all(client, *commands, **how):
    """The answers to commands, in their order."""
    message = send(client, json.dumps({"commands": list(commands)}), **how)
    return json.loads(message.payload)["responses"]


def ask(client, command, **fields):
    """The data of the answer to one command that succeeds."""
    answer = ask_all(client, {"command": command, **fields})[0]
    assert answer["command"] == command and "error" not in answer, answer
    return answer["data"]


def refused(client, command, **fields):
    """The error of one that does not."""
    answer = ask_all(client, {"command": command, **fields})[0]
    assert answer["command"] == command and "data" not in answer, answer
    return answer["error"]


def make_control_world(bench, folder, options=(), **how):
    """With an admin and an agent who have passwords, and room for as many commands as a test
    likes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = passwords(folder / "passwords", ADMIN["username"], ADMIN["password"])
    passwords(path, KIM["username"], KIM["password"])
    return World(bench, folder, options={"identity": IDENTITY, **FAST, **dict(options)},
                 tail=f"password_file {path}\n", **how)
