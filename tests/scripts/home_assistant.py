# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""configuration.yaml against the keys that Home Assistant documents, and its templates against
records. $1: the folder of both."""
import json
import pathlib
import re
import sys

import jinja2
import yaml

folder = pathlib.Path(sys.argv[1])
RECORD = {"v": 1, "role": "agent", "id": "ada", "previous": "offline", "reason": "connect"}
# Somebody's last will, and what is of another version: they say nothing.
NO_RECORDS = ["offline", "{", "null", "5", '"offline"', '{"status":"offline"}', '{"v":2,"status":"offline"}']


def render(template, payload):
    """As Home Assistant does: without value_json where the payload is no JSON, and without white space."""
    values = {"value": payload, "this": {"state": "before"}}
    try:
        values["value_json"] = json.loads(payload)
    except ValueError:
        pass
    return jinja2.Environment().from_string(template).render(values).strip()


def keys_of(entity):
    for key, value in entity.items():
        yield key
        for item in value if isinstance(value, list) else []:
            yield from (f"{key}.{inner}" for inner in item)


documented = {tuple(line.split("\t")) for line in (folder / "keys.txt").read_text().splitlines()
              if not line.startswith("#")}
platforms = yaml.safe_load((folder / "configuration.yaml").read_text())["mqtt"]
seen = set()
for platform, entities in platforms.items():
    for entity in entities:
        name = entity["name"]
        unknown = [key for key in keys_of(entity) if (f"{platform}.mqtt", key) not in documented]
        assert not unknown, f"{name}: not documented for {platform}.mqtt: {unknown}"
        assert entity["unique_id"] not in seen, name
        seen.add(entity["unique_id"])
        topics = [(entity["state_topic"], entity, ("ON", "OFF"))]
        topics += [(item["topic"], item, ("online", "offline")) for item in entity.get("availability", [])]
        presence = [one for one in topics if one[0].startswith("presence/")]
        assert presence, f"{name}: nothing of presence in it"
        for topic, item, (there, gone) in presence:
            assert re.fullmatch(r"presence/[^/+#]+/[^/+#]+", topic), topic
            template = item["value_template"]
            for status in "online", "away", "dnd", "offline", None:
                found = render(template, json.dumps({**RECORD, "status": status}) if status else "")
                plain = platform == "sensor" and item is entity
                wanted = status or "offline" if plain else gone if status in ("offline", None) else there
                assert found == wanted, f"{name}: {status} reads {found}, not {wanted}"
            for payload in NO_RECORDS:
                found = render(template, payload)
                assert found == ("before" if plain else ""), f"{name}: {payload} reads {found}"
assert len(seen) >= 3, "there is hardly anything to check"
