# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A cable that can be pulled: a network namespace of its own at the far end, and black holes in
the routes. Nobody is told; packets are just gone. Needs root and a kernel with namespaces."""
import ctypes
import itertools
import os
import subprocess
import threading

import pytest

NEWNET = 0x40000000
numbers = itertools.count()


def ip(*words, check=True):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise OSError(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done


class Cable:
    def __init__(self):
        pid, number = os.getpid(), next(numbers)
        net = f"10.{200 + number % 50}.{pid // 62 % 254 + 1}"
        first = pid % 62 * 4
        self.name = f"pr{pid % 1000000}x{number}"
        self.near, self.far = f"{net}.{first + 1}", f"{net}.{first + 2}"

    def __enter__(self):
        try:
            ip("netns", "add", self.name)
        except OSError as why:
            pytest.skip(f"the kernel refuses network namespaces: {why}")
        try:
            ip("link", "add", self.name + "a", "type", "veth", "peer", "name", "end", "netns",
               self.name)
            ip("address", "add", f"{self.near}/30", "dev", self.name + "a")
            ip("link", "set", self.name + "a", "up")
            self.there("address", "add", f"{self.far}/30", "dev", "end")
            self.there("link", "set", "end", "up")
            self.there("link", "set", "lo", "up")
        except OSError as why:
            self.__exit__()
            pytest.skip(f"the kernel refuses a cable between namespaces: {why}")
        return self

    def there(self, *words, **how):
        return ip("-n", self.name, *words, **how)

    def pull(self, to_far=True, from_far=True):
        """What one end sends to the other is gone."""
        if to_far:
            ip("route", "replace", "blackhole", f"{self.far}/32")
        if from_far:
            self.there("route", "replace", "blackhole", f"{self.near}/32")

    def plug(self):
        ip("route", "del", "blackhole", f"{self.far}/32", check=False)
        self.there("route", "del", "blackhole", f"{self.near}/32", check=False)

    def command(self, *words):
        """To run something at the far end."""
        return ["ip", "netns", "exec", self.name, *words]

    def connect_from_there(self, connect):
        """Runs connect() in a thread that lives at the far end, and returns what it returns:
        sockets stay where they were made."""
        result = []

        def run():
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/run/netns/{self.name}") as there:
                if libc.setns(there.fileno(), NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            result.append(connect())
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert result, "no connection from the far end"
        return result[0]

    def __exit__(self, *_):
        ip("route", "del", "blackhole", f"{self.far}/32", check=False)
        ip("link", "del", self.name + "a", check=False)
        ip("netns", "del", self.name, check=False)
