"""Two nodes, a switch and a router in namespaces, guests on taps, and whoever listens.

    guest ══ cable ══ tap ── node a ─┐
    guest ══ cable ══ tap ── node a ─┤ switch ── router (192.0.2.1, and 198.51.100.1 behind it)
    guest ══ cable ══ tap ── node b ─┘ (a bridge)

A guest is a namespace with a kernel of its own behind a tap; its cable copies frames between the
two taps, as QEMU does. All of it lies in a network and a mount namespace of this program, and ends
with it. Needs root. Standard library only.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import queue
import re
import select
import socket
import struct
import subprocess
import tempfile
import threading

import own_namespace
from harness import JOB_LIMIT, POLL, program, wait_until

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 2, 0x1000, 0x4000
ETH_P_ALL, SOL_PACKET, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE = 3, 263, 23, 33
VIRTIO_HEADER = bytes(10)
FRAME_BYTES_MAX = 65_536 + 64
GATEWAY, GATEWAY_MAC = "10.99.0.1", "0e:00:00:00:00:01"
ROUTER, BEYOND = "192.0.2.1", "198.51.100.1"
NODES = {"a": "192.0.2.11", "b": "192.0.2.12"}
ROUTER6, BEYOND6, GATEWAY6 = "2001:db8:f::1", "2001:db8:51::1", "fe80::1"
NODES6 = {"a": "2001:db8:f::11", "b": "2001:db8:f::12"}
EACH = 10  # frames of an attack
FLOOD = 2_000  # frames of a flood
PINGS_AFTER = 20  # that must be answered before the lost ones are counted
REASONS = ("", "foreign_mac", "foreign_ipv4", "foreign_arp", "dhcp_server", "group", "ipv6",
           "other_frame", "dhcp_request", "foreign_ipv6", "router_advertisement", "redirect",
           "foreign_ndp", "dhcpv6_server", "ipv6_group", "ipv6_hidden", "ipv6_request",
           "link_local", "too_fast", "too_fast_to_guest")


def enter():
    """Runs this program again in namespaces of its own; there it returns."""
    own_namespace.enter("--net", "--mount")
    os.makedirs("/run/netns", exist_ok=True)
    run("mount", "-t", "tmpfs", "none", "/run/netns")


def run(*words):
    done = subprocess.run([str(one) for one in words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@contextlib.contextmanager
def inside(namespace):
    """This thread is in the namespace: what it opens there stays there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        assert LIBC.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        yield
    finally:
        assert LIBC.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(home)
        os.close(there)


def open_tap(namespace, name):
    with inside(namespace):
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tap, TUNSETIFF,
                    struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    return tap


def await_links(namespace, links):
    """Until the kernel has seen that these taps are held: before, it sends them nothing."""
    def are_up():
        shown = json.loads(run("ip", "-j", "-n", namespace, "link", "show"))
        return {one["ifname"] for one in shown if one["operstate"] == "UP"}.issuperset(links)
    wait_until(f"{', '.join(links)} in {namespace} are up", are_up)


def raw_socket(namespace, link, protocol=ETH_P_ALL):
    """Hears what comes in on the link; with protocol 0 it hears nothing. Sends what it is given."""
    with inside(namespace):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        opened.bind((link, protocol))
    return opened


def is_readable(what, limit=0):
    """Whether there is something to read, within so many seconds."""
    return bool(select.select([what], [], [], limit)[0])


def ping_all(namespace, addresses, *words):
    """What ping prints of each, all at once."""
    asked = [subprocess.Popen(["ip", "netns", "exec", namespace, "ping", "-n", *words, address],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
             for address in addresses]
    return [one.communicate()[0] for one in asked]


def answered_in(said):
    """The numbers of the pings that had an answer, in the order of the answers."""
    return list(dict.fromkeys(int(one) for one in re.findall(r"icmp_seq=(\d+) .*time=", said)))


def skipped_in(answered, first=1):
    """How many pings had no answer, of those before the last one that was answered: later ones may
    wait, in order, until a neighbour's address is known."""
    return answered[-1] - first + 1 - sum(one <= answered[-1] for one in answered)


def lost_from(namespace, addresses, count=20):
    """How many pings to each had no answer until so many had one. (Without -w, ping waits for the
    last answers only twice as long as for the others: too short on a busy machine.)"""
    lost = []
    for said in ping_all(namespace, addresses, "-i", "0.01", "-w", "5", "-c", str(count)):
        answered = answered_in(said)
        lost.append(skipped_in(answered) if len(answered) >= count else count)
    return lost


def packed(mac):
    return bytes.fromhex(mac.replace(":", ""))


class Cables:
    """Copies frames between pairs of taps, in one thread, which alone plugs and pulls. An end is up
    while it is plugged; whatever fails is told by the next order."""

    def __init__(self):
        self.other_end = {}
        self.orders = queue.SimpleQueue()
        self.failure = None
        self.is_over = False
        self.poll = select.epoll()
        self.wake_read, self.wake = os.pipe()
        self.poll.register(self.wake_read, select.EPOLLIN)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def plug(self, one, other):
        self._order(lambda: self._plug(one, other))

    def pull(self, one):
        """The other end is closed."""
        self._order(lambda: self._pull(one))

    def end(self):
        def over():
            self.is_over = True
        self._order(over)
        self.thread.join()

    def _order(self, what):
        done = threading.Event()
        self.orders.put((what, done))
        os.write(self.wake, b".")
        # Guests fall silent for as long as this takes, so it ends at once.
        wait_until("the cables obey", lambda: self.failure or done.wait(POLL))
        assert not self.failure, self.failure

    def _plug(self, one, other):
        self.other_end |= {one: other, other: one}
        self.poll.register(one, select.EPOLLIN)
        self.poll.register(other, select.EPOLLIN)

    def _pull(self, one):
        other = self.other_end.pop(one)
        del self.other_end[other]
        self.poll.unregister(one)
        self.poll.unregister(other)
        os.close(other)

    def _run(self):
        try:
            while not self.is_over:
                ready = [one for one, _ in self.poll.poll()]
                if self.wake_read not in ready:
                    for one in ready:
                        os.write(self.other_end[one], os.read(one, FRAME_BYTES_MAX))
                    continue
                os.read(self.wake_read, 1)
                what, done = self.orders.get()
                what()
                done.set()
        except BaseException as why:  # noqa: BLE001 - told by `_order`
            self.failure = repr(why)


class Node:
    """A namespace with an uplink, whose ports are made by pvip in a process of its own."""

    def __init__(self, name, folder=None):
        """With a folder, where its BIRD lives when it is told to have one."""
        self.name, self.folder = f"node-{name}", folder
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [program("pvip_ports"), self.name, program("orrery-nft"),
             *([self.folder] if self.folder else [])], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def say(self, *words):
        """The lines of the answer."""
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline().rstrip("\n")) != ".":
            assert self.process.poll() is None or line, "pvip_ports ended"
            lines.append(line)
        return lines

    def must(self, *words):
        lines = self.say(*words)
        assert lines[0].split()[0] == "ok", lines
        return lines

    def counts(self, service, link):
        """{outcome: questions} of a port's guest, by the node's own word."""
        return {outcome: int(count) for outcome, count in
                (line.split() for line in self.must(service, link)[1:])}

    def dhcp(self, link):
        return self.counts("dhcp", link)

    def traffic(self, link):
        """{address or prefix: (packets sent, bytes, received, bytes)}, by the node's own word."""
        rows = (line.split() for line in self.must("traffic", link)[1:])
        return {whose.removesuffix("/32").removesuffix("/128"): tuple(int(one) for one in counts)
                for whose, *counts in rows}

    def nft(self, *words):
        return run("ip", "netns", "exec", self.name, "nft", *words)

    def drops(self, link):
        """{reason: frames} that died on a port, by nftables' own word."""
        shown = json.loads(self.nft("-j", "list", "set", "netdev", "orrery_vp", "dropped"))
        found = {}
        for one in shown["nftables"]:
            for element in one.get("set", {}).get("elem", []):
                where, reason = element["elem"]["val"]["concat"]
                if where == link:
                    found[REASONS[int(reason)]] = element["elem"]["counter"]["packets"]
        return found


class Guest:
    """A namespace with one NIC, `eth0`, on a port of a node."""

    def __init__(self, lab, number, node):
        self.lab, self.node = lab, node
        self.name, self.link = f"guest-{number}", f"vp{number:04d}"
        self.mac, self.address = f"0a:00:00:00:00:{number:02x}", f"10.99.0.{10 + number}"
        self.address6 = None
        self.prefixes = []  # behind it
        run("ip", "netns", "add", self.name)
        self.own_end = open_tap(self.name, "eth0")
        # Its tap holds a whole flood until the cable has carried it.
        self.ip("link", "set", "eth0", "address", self.mac, "txqueuelen", "10000")
        self.sysctl("net.ipv6.conf.all.disable_ipv6=1")  # its questions would be counted, too
        self.ip("link", "set", "lo", "up")
        self.ip("link", "set", "eth0", "up")
        self.ip("address", "add", f"{self.address}/24", "dev", "eth0")
        self.ip("route", "add", "default", "via", GATEWAY)
        self.frames = raw_socket(self.name, "eth0", 0)
        self.node.must("ensure", self.port())
        self.plug()
        lab.announce(self.address, node)

    def plug(self):
        self.lab.cables.plug(self.own_end, open_tap(self.node.name, self.link))
        await_links(self.node.name, [self.link])

    def unplug(self):
        self.lab.cables.pull(self.own_end)

    def stop_for(self, node):
        """Its NIC falls silent; it will go on at another node, where its tap is held already."""
        self.new_end = open_tap(node.name, self.link)
        await_links(node.name, [self.link])
        self.unplug()
        self.node = node

    def go_on(self):
        self.lab.cables.plug(self.own_end, self.new_end)

    def leave_nothing(self):
        """Its old tap was closed when it stopped."""

    def port(self, told=""):
        """With what DHCP tells beside the address: ",mtu=1400,dns=10.99.0.53"."""
        ipv6 = f",ip6={self.address6}" if self.address6 else ""
        behind = "".join(f",prefix={one}" for one in self.prefixes)
        return f"{self.link},{self.mac},{self.address},{GATEWAY}{ipv6}{behind}{told}"

    def take_ipv6(self, address):
        """An address of its own, set by hand; whoever asks for routers would be counted, too."""
        self.address6 = address
        self.node.must("ensure", self.port())
        for key in ("accept_ra=0", "autoconf=0", "router_solicitations=0", "disable_ipv6=0"):
            self.sysctl(f"net.ipv6.conf.eth0.{key}")
        self.sysctl("net.ipv6.conf.all.disable_ipv6=0")
        self.ip("address", "add", f"{address}/128", "dev", "eth0", "nodad")
        self.ip("route", "add", "default", "via", GATEWAY6, "dev", "eth0")
        self.lab.announce(address, self.node)

    def ip(self, *words):
        return run("ip", "-n", self.name, *words)

    def sysctl(self, *words):
        return run("ip", "netns", "exec", self.name, "sysctl", "-qw", *words)

    def send(self, frame):
        """Waits while too much is on its way."""
        self.frames.send(frame)

    def lost(self, address, count=20):
        """How many pings had no answer until so many had one."""
        return lost_from(self.name, [address], count)[0]

    def drops(self):
        return self.node.drops(self.link)


class Pings:
    """From a guest, every 10 ms, while it is entered."""

    FIRST = 1  # the number of ping's first one

    def __init__(self, guest, address):
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", guest.name, "ping", "-n", "-i", "0.01", address],
            stdout=self.said)

    def __enter__(self):
        try:
            wait_until("pings are answered", self.answered)
        except AssertionError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.said.close()

    def answered(self):
        self.said.seek(0)
        return answered_in(self.said.read())

    def lost(self):
        """How many so far had no answer, though later ones had."""
        enough = len(self.answered()) + PINGS_AFTER
        wait_until("pings are answered", lambda: len(self.answered()) >= enough)
        return skipped_in(self.answered(), self.FIRST)


class Listener:
    """Whoever might hear what a guest sends."""

    def __init__(self, name, namespace, link, address=None):
        self.name, self.address = name, address
        self.socket = raw_socket(namespace, link)
        self.frames = []

    def heard(self, marker):
        """How many frames that hold the marker came so far."""
        while is_readable(self.socket):
            self.frames.append(self.socket.recv(FRAME_BYTES_MAX))
        return sum(marker in frame for frame in self.frames)


class Lab:
    def __init__(self, folder=None):
        self.cables = Cables()
        for name in ("switch", "router"):
            self.begin(name)
        run("ip", "-n", "switch", "link", "add", "br0", "type", "bridge")
        run("ip", "-n", "switch", "link", "set", "br0", "up")
        self.connect("router", ROUTER, ROUTER6)
        run("ip", "-n", "router", "address", "add", f"{BEYOND}/32", "dev", "lo")
        run("ip", "-n", "router", "address", "add", f"{BEYOND6}/128", "dev", "lo")
        for key in ("ipv4.ip_forward=1", "ipv4.conf.all.send_redirects=0",
                    "ipv4.conf.up0.send_redirects=0", "ipv6.conf.all.forwarding=1"):
            run("ip", "netns", "exec", "router", "sysctl", "-qw", f"net.{key}")
        for name in NODES:
            self.boot(name)
        self.nodes = {name: Node(name, folder and f"{folder}/{name}") for name in NODES}
        self.guests = []

    @staticmethod
    def begin(name):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def boot(self, name):
        """A node with its uplink, the same each time, and nothing of pvip's."""
        self.begin(f"node-{name}")
        self.connect(f"node-{name}", NODES[name], NODES6[name])
        uplink = f"02:00:00:00:00:{ord(name):02x}"
        run("ip", "-n", f"node-{name}", "link", "set", "up0", "address", uplink)
        for router in (ROUTER, ROUTER6):
            run("ip", "-n", f"node-{name}", "route", "add", "default", "via", router)

    @staticmethod
    def fell(name):
        """The kernel of a node is gone, whose guests were unplugged."""
        run("ip", "-n", "switch", "link", "delete", f"to-node-{name}")
        run("ip", "netns", "delete", f"node-{name}")

    def connect(self, name, address, address6=None):
        run("ip", "-n", name, "link", "add", "up0", "type", "veth", "peer", "name", f"to-{name}",
            "netns", "switch")
        run("ip", "-n", "switch", "link", "set", f"to-{name}", "master", "br0", "up")
        run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "up0")
        if address6:
            run("ip", "-n", name, "address", "add", f"{address6}/64", "dev", "up0", "nodad")
        run("ip", "-n", name, "link", "set", "up0", "up")

    def announce(self, address, node):
        """What a routing protocol would tell the router."""
        nodes = NODES6 if ":" in address else NODES
        run("ip", "-n", "router", "route", "replace", address, "via",
            nodes[node.name.removeprefix("node-")])

    def guest(self, node):
        self.guests.append(Guest(self, len(self.guests) + 1, self.nodes[node]))
        return self.guests[-1]

    def listeners(self, attacker):
        """Every other guest, the router, the other node, and what leaves the attacker's node."""
        around = [Listener(one.name, one.name, "eth0", one.address)
                  for one in self.guests if one is not attacker]
        around.append(Listener("router", "router", "up0", BEYOND))
        around += [Listener(one.name, one.name, "up0") for one in self.nodes.values()
                   if one is not attacker.node]
        around.append(Listener("switch", "switch", f"to-{attacker.node.name}"))
        return around

    def ports_of(self, node):
        return [one.port() for one in self.guests if one.node is node]

    def learned(self):
        """The addresses in the switch's table that it learned."""
        shown = json.loads(run("ip", "netns", "exec", "switch", "bridge", "-j", "fdb", "show",
                               "br", "br0"))
        return {one["mac"] for one in shown
                if one.get("master") == "br0" and one.get("state") != "permanent"}

    def end(self):
        for node in self.nodes.values():
            node.process.stdin.close()
            node.process.wait()
        self.cables.end()


def await_drops(guest, wanted):
    """Until so many died, for these reasons and no others."""
    wait_until(f"{guest.link} counts {wanted}",
               lambda: sum(guest.drops().values()) >= sum(wanted.values()))
    assert guest.drops() == wanted, (guest.link, guest.drops(), wanted)


def plus(before, more):
    return {reason: count for reason in {*before, *more}
            if (count := before.get(reason, 0) + more.get(reason, 0))}


def control(guest, listeners, marker):
    """Who has an address, and the wire, hear an honest packet, sent after all else: all else was
    before it, and they are not deaf."""
    with inside(guest.name):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for one in listeners:
        if one.address:
            sender.sendto(marker, (one.address, 5001))
        if one.address or one.name == "switch":
            wait_until(f"{one.name} hears an honest packet", lambda one=one: one.heard(marker))
    sender.close()


def heard_by(listeners, marker):
    return {one.name: count for one in listeners if (count := one.heard(marker))}
