# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Many at once."""
from collections import Counter

MANY = 1000


def test_a_thousand_vanish_at_once(make_world):
    world = make_world(store="redis", options={"grace": "1s"})
    clients = [world.connect(f"device:{number}:d") for number in range(MANY)]
    subjects = [f"device/{number}" for number in range(MANY)]
    for subject in subjects:
        world.observer.wait(subject, "online", seconds=30)
    mark = world.observer.mark()
    for client in clients:
        client.rst()
    for subject in subjects:
        world.observer.wait(subject, "offline", mark, seconds=30)
    world.wait_grace_over()
    seen = Counter(one.topic for one in world.observer.since(mark)
                   if one.topic.startswith("presence/device/"))
    assert len(seen) == MANY and set(seen.values()) == {1}
    world.wait_agreement(20)
    assert world.redis("ZCARD", world.key("online:device")) == 0


def test_a_thousand_come_back_in_time(make_world):
    world = make_world(store="redis", options={"grace": "20s"})
    clients = [world.connect(f"device:{number}:d") for number in range(MANY)]
    for number in range(MANY):
        world.observer.wait(f"device/{number}", "online", seconds=30)
    mark = world.observer.mark()
    for client in clients:
        client.rst()
    for client in clients:
        world.connect(client.client_id)
    world.fence()
    assert not [one for one in world.observer.since(mark) if "/device/" in one.topic]
    world.wait_agreement(20)
