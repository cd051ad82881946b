#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# The example for Home Assistant uses keys that are documented, and its templates tell who is there.
set -eu
python=/usr/bin/python3
$python -c 'import jinja2, yaml' 2>/dev/null || { echo "no python3-yaml, python3-jinja2"; exit 77; }
exec $python "$(dirname "$0")/home_assistant.py" examples/home-assistant
