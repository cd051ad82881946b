# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Silent clients, all at once: brokers take up to ten seconds to notice."""
import itertools


def test_silence_ends_in_offline(make_world):
    world = make_world()
    silent = [world.agent(keepalive=1, version=version, ws=ws, clean=clean)
              for version, ws, clean in itertools.product([4, 5], [False, True], [False, True])]
    loud, loud_client = world.agent(keepalive=1)
    waiting, rounds = dict(silent), 0
    while waiting:
        loud_client.ping()
        rounds += 1
        assert rounds < 100, f"{list(waiting)} still online"
        try:
            seen = world.observer.wait(next(iter(waiting)), "offline", seconds=0.25)
        except AssertionError:
            continue
        del waiting["/".join(seen.topic.split("/")[1:])]
        assert seen.record["reason"] == world.reason("keepalive")
        assert seen.record["devices"] == 0
    world.never_offline(loud, 0)
