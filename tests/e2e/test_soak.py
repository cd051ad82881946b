# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Churn: many clients, everything at random; at the end all copies say what the clients did.
--soak or PRESENCE_SOAK_SECONDS says how long, PRESENCE_SOAK_SEED repeats a run."""
import json
import os
import random
import time

import pytest

from servers import poll
from world import topic_of

SEED = int(os.environ.get("PRESENCE_SOAK_SEED") or random.randrange(1 << 32))
SUBJECTS, DEVICES = 40, 3


class Slot:
    """One device of one subject, and its connection."""

    def __init__(self, world, chance, number, device):
        self.world, self.chance, self.client = world, chance, None
        self.subject = f"agent/s{number}"
        self.client_id = f"agent:s{number}:d{device}"

    def connect(self):
        chance = self.chance
        # Connecting by WebSocket takes 2.0.x a fifth of a second.
        ws = chance.random() < (0.3 if self.world.mosquitto.knows_why else 0.03)
        self.client = self.world.connect(
            self.client_id, ws=ws, version=chance.choice([4, 5]),
            clean=chance.random() < 0.6, will=(f"status/{self.subject}", "gone", 0, True)
            if chance.random() < 0.2 else None)

    def step(self):
        if not self.client:
            self.connect()
            return
        act = self.chance.choice(["disconnect", "fin", "rst", "rst", "takeover", "takeover",
                                  "publish", "publish", "intrude", "ping"])
        if act == "takeover":
            old = self.client
            self.connect()
            old.close()
        elif act == "publish":
            self.client.publish("news", "x" * self.chance.randrange(2000), qos=1)
        elif act == "intrude":
            self.client.publish(topic_of(f"agent/s{self.chance.randrange(SUBJECTS)}"), b"x", 1)
        elif act == "ping":
            self.client.ping()
        else:
            getattr(self.client, act)()
            self.client = None


def check_history(records, may_repeat):
    """since and previous change with the status, and only then; nothing is said twice, but on
    brokers without a guard, where what a will may have overwritten is published again."""
    for before, after in zip(records, records[1:]):
        if before["status"] == after["status"]:
            assert before["since"] == after["since"] and before["previous"] == after["previous"]
            assert before["devices"] != after["devices"] or may_repeat, (before, after)
        else:
            assert after["previous"] == before["status"] and after["since"] >= before["since"]


@pytest.mark.parametrize("store", ["redis", "state_file"])
def test_churn(make_world, request, store):
    seconds = float(os.environ.get("PRESENCE_SOAK_SECONDS") or request.config.getoption("--soak"))
    print(f"seed {SEED}")
    chance = random.Random(f"{SEED} {store}")
    world = make_world(store=store, options={"grace": chance.choice(["0", "50ms", "400ms"])})
    slots = [Slot(world, chance, number, device)
             for number in range(SUBJECTS) for device in range(DEVICES)]
    end, steps = time.monotonic() + seconds / 2, 0
    while time.monotonic() < end:
        chance.choice(slots).step()
        steps += 1
        if steps % 200 == 0:
            world.clients = [slot.client for slot in slots if slot.client]
    print(f"{steps} steps, {len(world.observer.since(0))} records")
    expected = {}
    for slot in slots:
        expected[slot.subject] = expected.get(slot.subject, 0) + bool(slot.client)
    world.wait_grace_over()

    def wrong():
        retained = world.retained()
        for subject, devices in expected.items():
            record = json.loads(retained.get(topic_of(subject), b'{"devices":0}'))
            if record["devices"] != devices or (record.get("status") == "online") != (devices > 0):
                return f"{subject} has {devices} devices, retained {record}"
        return ""
    poll(lambda: not wrong(), 10, lambda: f"seed {SEED}: {wrong()}")
    world.wait_agreement(20)
    if store == "state_file":
        poll(world.state_file_agrees, 10, f"seed {SEED}: the state file agrees")
    for subject in expected:
        check_history([one.record for one in world.observer.since(0, subject)], not world.mosquitto.knows_why)
    assert steps > seconds * 10
