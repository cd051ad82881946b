# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""S5: what comes over a bridge no access rule of the broker is asked about. The plugin sees it, and
lets nothing through; check-config says where it cannot."""
import subprocess

import pytest

from control import ask
from mqtt import Client
from servers import poll

BRIDGE = """
connection forger
address 127.0.0.1:{remote}
topic presence/# in 0
topic typing/# in 0
topic fence/# in 0
"""
PER_LISTENER = """
user root
log_dest stderr
log_type all
per_listener_settings true
listener {port} 127.0.0.1
allow_anonymous true
{plugin}
"""
FORGED = b'{"v":1,"role":"agent","id":"nobody","status":"online","rev":9007199254740991}'


class Bridge:
    """A broker without presence, and one that takes over what is said there."""

    def __init__(self, make_world, **how):
        remote = make_world(plugin=False)
        self.world = world = make_world(start=False, **how)
        self.conf = world.broker.conf_path
        self.conf.write_text(self.conf.read_text() + BRIDGE.format(remote=remote.broker.port))
        world.start()
        self.watcher = world.observe("#")
        self.forger = remote.connect(remote.name("forger"))
        self.subject, self.client = world.agent()
        self.topics = [f"presence/{self.subject}", "presence/agent/nobody", "typing/c/agent/nobody"]
        poll(self._is_there, 40, "the bridge is there")

    def _is_there(self):
        """What is said before it is, is lost."""
        self.forger.publish("fence/there", b"")
        self.forger.ping()
        return any(one.topic == "fence/there" for one in self.watcher.since(0))

    def forge(self):
        """Returns what is retained when all of it has come over."""
        for topic in self.topics:
            self.forger.publish(topic, FORGED, retain=True)
        self.forger.publish("fence/end", b"")
        self.watcher.wait_for(lambda one: one.topic == "fence/end", "the end of what was forged")
        return self.world.retained("presence/#", "typing/#")

    def judge(self, presencectl):
        if not presencectl:
            pytest.skip("no presencectl in this build")
        found = subprocess.run([presencectl, "check-config", self.conf], capture_output=True,
                               text=True, timeout=60, check=False)
        return found.returncode, found.stdout


@pytest.mark.short
@pytest.mark.parametrize("guard", ["off", "auto"])
def test_records_that_come_over_a_bridge(make_world, presencectl, figures, guard):
    bridge = Bridge(make_world, options={"control_open": "true", "topic_guard": guard})
    retained = bridge.forge()
    assert FORGED not in retained.values(), retained
    assert f"presence/{bridge.subject}" in retained
    seen = [one for one in bridge.watcher.since(0) if one.payload == FORGED]
    assert not seen, seen
    bridge.world.broker.wait_log("presence: refused what client local.* published on presence/")
    admin = Client(bridge.world.broker.port, "admin:books:d", version=5)
    refused = int(ask(admin, "getStats")["refused/publish"])
    admin.close()
    assert refused >= len(bridge.topics)
    figures(f"S5: {len(bridge.topics)} records forged over a bridge, topic_guard {guard}, published 0, "
            f"refused {refused}")
    end, text = bridge.judge(presencectl)
    assert not end and "what comes over this bridge under presence/ is refused" in text, text
    assert "what comes over this bridge under typing/ is refused" in text, text


def test_a_bridge_that_nobody_is_asked_about(make_world, mosquitto, presencectl, figures):
    """With per_listener_settings a bridge is no listener's, so no plugin's either."""
    if mosquitto.old_tick:
        pytest.skip("the plugin does nothing there, and says so")
    bridge = Bridge(make_world, conf=PER_LISTENER)
    retained = bridge.forge()
    forged = [topic for topic in bridge.topics if retained.get(topic) == FORGED]
    assert forged == bridge.topics, "check-config may stop calling this an error"
    end, text = bridge.judge(presencectl)
    assert end and "nobody is asked about what comes over this bridge" in text, text
    figures(f"S5: with per_listener_settings true {len(forged)} of {len(bridge.topics)} forged "
            "records are published; check-config calls it an error")
