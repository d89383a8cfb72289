"""Two paths between two guests with the same number of links, in the lab of tests/system: that of
PVIP, where nodes route, and one where they are bridges.

    guest == tap ── node (routes, or a bridge) ── switch ── node (the same) ── tap == guest
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import time

from frames import IPV4, ethernet, ipv4, udp
from harness import JOB_LIMIT
from pvip_lab import (FRAME_BYTES_MAX, GATEWAY, GATEWAY_MAC, NODES, VIRTIO_HEADER, Lab, await_links,
                      is_readable, open_tap, run)

TUNSETOFFLOAD, TUN_F_CSUM, TUN_F_TSO4 = 0x400454D0, 1, 2
TCP_PORT = 5001
DATA = b"eighteen bytes in."  # makes a frame of 64 bytes, with the four of its checksum
SERVER = f"""
import socket
listening = socket.create_server(("0.0.0.0", {TCP_PORT}))
print("ready", flush=True)
came, into, count = listening.accept()[0], bytearray(1 << 20), 0
while got := came.recv_into(into):
    count += got
print(count, flush=True)
"""
CLIENT = f"""
import socket, sys, time
data, to = bytes(1 << 20), socket.create_connection((sys.argv[1], {TCP_PORT}))
began = time.monotonic()
while time.monotonic() < began + float(sys.argv[2]):
    to.sendall(data)
to.close()
"""


class Paths:
    """Each is a list of two ends; an end is (namespace of the node, tap, MAC, address)."""

    def __init__(self):
        self.lab = Lab()
        self.routed, self.bridged = [], []
        for number, (name, node) in enumerate(self.lab.nodes.items(), 1):
            mac, address = f"0a:00:00:00:00:{number:02x}", f"10.99.0.{10 + number}"
            link = f"vp{number:04d}"
            node.must("ensure", f"{link},{mac},{address},{GATEWAY}")
            for other, via in NODES.items():  # as nodes that learn from routers have it
                if other != name:
                    run("ip", "-n", node.name, "route", "add", f"10.99.0.{13 - number}", "via", via)
            self.routed.append((node.name, link, mac, address))
            self.bridged.append(self.bridge(name, mac, address))

    def bridge(self, name, mac, address):
        bridge = f"bridge-{name}"
        run("ip", "netns", "add", bridge)
        run("ip", "-n", bridge, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", bridge, "link", "set", "br0", "up")
        run("ip", "-n", bridge, "link", "add", "up0", "type", "veth", "peer", "name",
            f"to-{bridge}", "netns", "switch")
        run("ip", "-n", "switch", "link", "set", f"to-{bridge}", "master", "br0", "up")
        run("ip", "-n", bridge, "link", "set", "up0", "master", "br0", "up")
        run("ip", "-n", bridge, "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr")
        run("ip", "-n", bridge, "link", "set", "tap0", "master", "br0", "up")
        return bridge, "tap0", mac, address

    def end(self):
        self.lab.end()


# --- frames of 64 bytes --------------------------------------------------------------------------


def hold(path):
    taps = [open_tap(namespace, link) for namespace, link, _, _ in path]
    for namespace, link, _, _ in path:
        await_links(namespace, [link])
    return taps


def packet(path, is_routed, back=False):
    (_, _, mac, address), (_, _, other_mac, other) = reversed(path) if back else path
    return VIRTIO_HEADER + ethernet(mac, GATEWAY_MAC if is_routed else other_mac, IPV4, ipv4(
        address, other, 17, udp(5000, 5001, DATA)))


def shout(tap, frame, seconds):
    """In a process of its own, which ends itself; its number."""
    child = os.fork()
    if child:
        return child
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(64):
            os.write(tap, frame)
    os._exit(0)


def frames_a_second(path, is_routed, seconds):
    """That arrive at the second guest when the first writes them as fast as it can."""
    first, second = taps = hold(path)
    os.write(second, packet(path, is_routed, back=True))  # bridges learn where it is
    while is_readable(first, JOB_LIMIT) and DATA not in os.read(first, FRAME_BYTES_MAX):
        pass
    began = time.monotonic()
    child = shout(first, packet(path, is_routed), seconds)
    count, size = 0, len(packet(path, is_routed))
    while is_readable(second, 0.5):
        with contextlib.suppress(BlockingIOError):
            while True:
                count += len(os.read(second, FRAME_BYTES_MAX)) == size
                took = time.monotonic() - began
    os.waitpid(child, 0)
    for tap in taps:
        os.close(tap)
    return count / took


# --- TCP -----------------------------------------------------------------------------------------


def make_guests(paths, path, name):
    """Namespaces behind the taps, with kernels of their own; cables carry what their cards would
    cut. Their names."""
    guests = []
    for number, (namespace, link, mac, address) in enumerate(path):
        guest = f"{name}-{number}"
        run("ip", "netns", "add", guest)
        own, other = open_tap(guest, "eth0"), open_tap(namespace, link)
        for tap in (own, other):
            fcntl.ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
        run("ip", "-n", guest, "link", "set", "eth0", "address", mac, "up")
        run("ip", "-n", guest, "address", "add", f"{address}/24", "dev", "eth0")
        paths.lab.cables.plug(own, other)
        await_links(namespace, [link])
        guests.append(guest)
    return guests


def bits_a_second(guests, address, seconds):
    """From the first guest to the second."""
    def start(guest, *words):
        return subprocess.Popen(["ip", "netns", "exec", guest, sys.executable, "-c", *words],
                                stdout=subprocess.PIPE, text=True)
    with start(guests[1], SERVER) as server:
        assert server.stdout.readline() == "ready\n"
        began = time.monotonic()
        with start(guests[0], CLIENT, address, str(seconds)) as client:
            client.wait()
        count = int(server.stdout.readline())
        return count * 8 / (time.monotonic() - began)
