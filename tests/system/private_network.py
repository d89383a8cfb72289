"""A network of this program's own, that ends with it, and places in it that can be cut off.

    our namespace              a place
    10.77.0.1 (lo) ── way N ══ 10.77.N.2        what runs in a place reaches 10.77.0.1, and us only

Needs root or unprivileged user namespaces. Standard library only.
"""

import ctypes
import http.client
import os
import socket
import subprocess
import time

import own_namespace
from harness import Daemon

ADDRESS = "10.77.0.1"  # of what all places reach
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG, SIGKILL = 1, 9
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*words):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stderr)


def enter():
    """Runs this program again in a network namespace of its own; there it returns."""
    own_namespace.enter("--net")
    ip("link", "set", "lo", "up")
    ip("address", "add", f"{ADDRESS}/32", "dev", "lo")


def _namespace_of(pid):
    return os.stat(f"/proc/{pid}/ns/net").st_ino


class Place:
    """A namespace within ours with one way out."""

    def __init__(self, number):
        self.way = f"way{number}"
        self.keeper = subprocess.Popen(
            ["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL,
            preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, SIGKILL))
        while _namespace_of(self.keeper.pid) == _namespace_of("self"):
            assert self.keeper.poll() is None, "unshare made no namespace"
            time.sleep(0.01)
        ip("link", "add", self.way, "type", "veth", "peer", "name", "out", "netns",
           self.keeper.pid)
        ip("address", "add", f"10.77.{number}.1/30", "dev", self.way)
        ip("link", "set", self.way, "up")
        for words in (("link", "set", "lo", "up"), ("link", "set", "out", "up"),
                      ("address", "add", f"10.77.{number}.2/30", "dev", "out"),
                      ("route", "add", "default", "via", f"10.77.{number}.1")):
            subprocess.run([*self.inside(), "ip", *words], check=True)

    def inside(self):
        """The words before those of a program that shall run here."""
        return ["nsenter", f"--net=/proc/{self.keeper.pid}/ns/net", "--"]

    def cut(self):
        """From now on nothing goes in or out, and nobody is told."""
        ip("link", "set", self.way, "down")

    def heal(self):
        ip("link", "set", self.way, "up")

    def connect(self, port, timeout):
        """A connection to a port of this place's loopback, cut off or not."""
        with open("/proc/thread-self/ns/net", "rb") as ours, \
                open(f"/proc/{self.keeper.pid}/ns/net", "rb") as theirs:
            try:
                assert LIBC.setns(theirs.fileno(), CLONE_NEWNET) == 0, os.strerror(
                    ctypes.get_errno())
                return socket.create_connection(("127.0.0.1", port), timeout=timeout)
            finally:
                assert LIBC.setns(ours.fileno(), CLONE_NEWNET) == 0  # of this thread alone

    def end(self):
        self.keeper.kill()
        self.keeper.wait()


class PlacedDaemon(Daemon):
    """An orreryd that runs in a place."""

    def __init__(self, place, directory, config, log):
        super().__init__(directory, config, place.inside(), log)
        self.place = place

    def connection(self, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection._create_connection = lambda *_: self.place.connect(self.port, timeout)
        return connection
