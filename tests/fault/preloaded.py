# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Libraries that come between a broker and what it calls, and the orders they obey: numbers in a
file that both sides map."""
import mmap
import struct
import subprocess
from pathlib import Path


class Preloaded:
    def __init__(self, folder, name, variable, numbers):
        self.library, self.path = folder / f"{name}.so", folder / f"{name}.orders"
        self.variable = variable
        subprocess.run(["cc", "-std=c11", "-O1", "-fno-builtin", "-shared", "-fPIC", "-o",
                        self.library, Path(__file__).parent / f"{name}.c"], check=True)
        self.path.write_bytes(bytes(8 * numbers))
        with open(self.path, "r+b") as file:
            self.orders = mmap.mmap(file.fileno(), 8 * numbers)

    def number(self, at):
        return struct.unpack_from("Q", self.orders, 8 * at)[0]

    def write(self, at, *numbers):
        struct.pack_into(f"{len(numbers)}Q", self.orders, 8 * at, *numbers)

    def preload(self, world):
        """Also where the broker brings its own loader."""
        mosquitto, launch = world.mosquitto, world.broker.launch
        arguments, environment = mosquitto.preload([str(self.library)])
        world.broker.launch = lambda command, more=None: launch(
            (arguments + command[len(mosquitto.command):]) if arguments else command,
            {**environment, self.variable: str(self.path), **(more or {})})
