"""The routers of a customer, in the lab of pvip_lab.py: one is BIRD, the other FRR. Both speak BGP
with the nodes, the first OSPF, too, and both hold what lies behind them (198.51.100.1).
"""

import json
import os
import re
import subprocess

import pvip_lab
from customer_router import GUESTS6, NODES_AS, ROUTERS_AS, bird_config
from harness import wait_until
from pvip_lab import BEYOND, BEYOND6, GATEWAY, NODES, NODES6, ROUTER, ROUTER6, inside, run

FRR, FRR6, FRR_NAME = "192.0.2.2", "2001:db8:f::2", "frr"
GUESTS = "10.99.0.0/24"
OWN_BEHIND = ("10.60.1.0/24", "2001:db8:60::/48")  # of the first guest
AT_BEHIND = ("10.60.1.1", "2001:db8:60::1")
PASSWORD, OSPF_PASSWORD = "a#b;{c}'d\\e", "of-ospf"  # characters that mean something elsewhere
HOLD = 3  # seconds
FRR_AS = 64513

# Two racks below a core: the first router's, of which the guests' addresses are, and FRR's.
CORE_AS = 64500
CORE, TO_CORE = "198.18.1.1", "198.18.1.2"
CORE_OF_FRR, FRR_TO_CORE = "198.18.2.1", "198.18.2.2"
EVERYBODY, OTHER_RACK = "10.99.0.0/16", "10.99.1.0/24"
BIRD_TO_CORE = f"""
protocol bgp core {{
  local {TO_CORE} as {ROUTERS_AS}; neighbor {CORE} as {CORE_AS};
  hold time {HOLD}; connect delay time 1; connect retry time 2; error wait time 1, 2;
  ipv4 {{
    # Other racks' aggregates, and who moved there.
    import where net ~ [ {EVERYBODY}{{17,32}} ];
    # The rack's own, and of single guests only those that moved here.
    export where net = {GUESTS} || (net ~ [ {EVERYBODY}{{32,32}} ] && ! (net ~ [ {GUESTS}+ ]));
  }};
}}
"""
CORE_BIRD = f"""
router id 198.18.0.1;
protocol device {{ }}
protocol kernel {{ ipv4 {{ import none; export all; }}; }}
protocol static nobody {{ ipv4; route {EVERYBODY} unreachable; }}
template bgp rack {{
  hold time {HOLD}; connect delay time 1; connect retry time 2; error wait time 1, 2;
  ipv4 {{
    import where net ~ [ {EVERYBODY}{{17,32}} ];
    export where net ~ [ {EVERYBODY}{{17,32}} ];
  }};
}}
protocol bgp rack_1 from rack {{
  local {CORE} as {CORE_AS}; neighbor {TO_CORE} as {ROUTERS_AS};
}}
protocol bgp rack_2 from rack {{
  local {CORE_OF_FRR} as {CORE_AS}; neighbor {FRR_TO_CORE} as {FRR_AS};
}}
"""

FRR_BEGIN = f"""
router bgp {FRR_AS}
 bgp router-id {FRR}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 coalesce-time 0
 bgp graceful-restart restart-time 1
 timers bgp 1 {HOLD}
"""
FRR_NODE = """
 neighbor {address} remote-as {as_there}
 neighbor {address} password {password}
 neighbor {address} timers connect 2
 address-family {family} unicast
  neighbor {address} activate
  neighbor {address} default-originate
  neighbor {address} prefix-list guests in
 exit-address-family
"""
FRR_END = f"""
 neighbor {CORE_OF_FRR} remote-as {CORE_AS}
 neighbor {CORE_OF_FRR} timers connect 2
 address-family ipv4 unicast
  network {OTHER_RACK}
  neighbor {CORE_OF_FRR} activate
  neighbor {CORE_OF_FRR} prefix-list to-core out
  neighbor {CORE_OF_FRR} prefix-list from-core in
 exit-address-family
ip prefix-list to-core permit {OTHER_RACK}
ip prefix-list to-core deny {OTHER_RACK} ge 32
ip prefix-list to-core permit {EVERYBODY} ge 32
ip prefix-list from-core permit {EVERYBODY} ge 17
ip prefix-list guests permit {GUESTS} ge 32
ip prefix-list guests permit 10.60.0.0/16 le 32
ipv6 prefix-list guests permit {GUESTS6} ge 128
ipv6 prefix-list guests permit 2001:db8:60::/44 le 128
"""
FRR_OSPF = f"""
interface up0
 ip ospf authentication message-digest
 ip ospf message-digest-key 1 md5 {OSPF_PASSWORD}
 ip ospf hello-interval 1
 ip ospf dead-interval 4
 ip ospf retransmit-interval 3
router ospf
 ospf router-id {FRR}
 network 192.0.2.0/24 area 0
 default-information originate always
"""
FRR_OSPF6 = f"""
interface up0
 ipv6 ospf6 area 0.0.0.0
 ipv6 ospf6 hello-interval 1
 ipv6 ospf6 dead-interval 4
 ipv6 ospf6 retransmit-interval 3
router ospf6
 ospf6 router-id {FRR}
 default-information originate always
"""


def routes_of(namespace, family="-4"):
    """{destination: route} of the kernel, by iproute2."""
    return {one["dst"]: one for one in json.loads(run("ip", "-j", family, "-n", namespace, "route",
                                                      "show"))}


def gateways_of(route):
    """Empty text for a way to the link alone, as FRR's OSPF has it for a moment."""
    return {one.get("gateway", "") for one in route.get("nexthops", [route])}


class UpstreamLab(pvip_lab.Lab):
    def __init__(self, folder):
        super().__init__(folder)
        self.folder, self.routers = folder, []
        run("ip", "netns", "add", FRR_NAME)
        run("ip", "-n", FRR_NAME, "link", "set", "lo", "up")
        self.connect(FRR_NAME, FRR, FRR6)
        for beyond in (BEYOND, BEYOND6):
            run("ip", "-n", FRR_NAME, "address", "add", beyond, "dev", "lo")
        for guests in (GUESTS, GUESTS6, OTHER_RACK):
            run("ip", "-n", FRR_NAME, "route", "add", "unreachable", guests)
        self._connect_core()
        for key in ("ipv4.ip_forward=1", "ipv4.conf.all.send_redirects=0",
                    "ipv4.conf.up0.send_redirects=0", "ipv6.conf.all.forwarding=1"):
            run("ip", "netns", "exec", FRR_NAME, "sysctl", "-qw", f"net.{key}")
        for node in self.nodes.values():
            for family in ("-4", "-6"):
                run("ip", family, "-n", node.name, "route", "del", "default")

    def _connect_core(self):
        run("ip", "netns", "add", "core")
        run("ip", "netns", "exec", "core", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for name, address, of_core in (("router", TO_CORE, CORE),
                                       (FRR_NAME, FRR_TO_CORE, CORE_OF_FRR)):
            run("ip", "-n", name, "link", "add", "core0", "type", "veth", "peer", "name",
                f"to-{name}", "netns", "core")
            run("ip", "-n", name, "address", "add", f"{address}/30", "dev", "core0")
            run("ip", "-n", "core", "address", "add", f"{of_core}/30", "dev", f"to-{name}")
            run("ip", "-n", name, "link", "set", "core0", "up")
            run("ip", "-n", "core", "link", "set", f"to-{name}", "up")

    def announce(self, address, node):
        """Nobody does it for the nodes."""

    def guest(self, node):
        """With an address of each family, and the first with networks behind it. It knows its
        gateway, as one with a lease does."""
        guest = super().guest(node)
        number = len(self.guests)
        guest.take_ipv6(f"2001:db8:99::{number}")
        if number == 1:
            guest.prefixes = OWN_BEHIND
            guest.node.must("ensure", guest.port())
            for address in AT_BEHIND:
                guest.ip("address", "add", address, "dev", "lo")
        wait_until(f"{guest.name} reaches its gateway", lambda: guest.lost(GATEWAY, 1) == 0)
        return guest

    def start_bird(self):
        self._start_bird("router", bird_config(GUESTS, [*NODES.values(), *NODES6.values()],
                                               PASSWORD, OSPF_PASSWORD, HOLD) + BIRD_TO_CORE)

    def start_core(self):
        self._start_bird("core", CORE_BIRD)

    def _start_bird(self, name, text):
        config = f"{self.folder}/{name}.conf"
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        self._start(name, "/usr/sbin/bird", "-f", "-c", config, "-s", f"{self.folder}/{name}.ctl",
                    "-P", f"{self.folder}/{name}.pid")

    def start_frr(self):
        """Its folders are of this program's mount namespace."""
        for folder in ("/run/frr", "/etc/frr"):
            run("mount", "-t", "tmpfs", "-o", "mode=0755", "none", folder)
            for path in (folder, f"{folder}/{FRR_NAME}"):
                os.makedirs(path, exist_ok=True)
                run("chown", "frr:frr", path)
        of_nodes = "".join(
            FRR_NODE.format(address=address, as_there=NODES_AS, password=PASSWORD, family=family)
            for family, nodes in (("ipv4", NODES), ("ipv6", NODES6)) for address in nodes.values())
        self.start_frr_daemon("zebra", "\n")
        self.start_frr_daemon("bgpd", FRR_BEGIN + of_nodes + FRR_END)

    def start_frr_daemon(self, daemon, text):
        config = f"/etc/frr/{FRR_NAME}/{daemon}.conf"
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        self._start(FRR_NAME, f"/usr/lib/frr/{daemon}", "-N", FRR_NAME, "-f", config, "-A",
                    "127.0.0.1")
        wait_until(f"{daemon} listens",
                   lambda: os.path.exists(f"/run/frr/{FRR_NAME}/{daemon}.vty"))

    def _start(self, namespace, *words):
        with open(f"{self.folder}/{namespace}.log", "a", encoding="utf-8") as log:
            self.routers.append(subprocess.Popen(["ip", "netns", "exec", namespace, *words],
                                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def switch_port(self, namespace, state):
        run("ip", "-n", "switch", "link", "set", f"to-{namespace}", state)

    def end(self):
        for node in self.nodes.values():
            node.must("stop")
        super().end()
        for one in self.routers:
            one.kill()
            one.wait()


ALL_ROUTERS = (ROUTER, FRR, ROUTER6, FRR6)
LEARNED = f"default,{GUESTS},{GUESTS6}"


def own_of(node):
    """Its addresses on the uplink, IPv4 first."""
    name = node.name.removeprefix("node-")
    return NODES[name], NODES6[name]


def speak_bgp(node, routers=ALL_ROUTERS, password=PASSWORD, learned=LEARNED):
    """`password`: of the first router; the others have the right one."""
    said = []
    for one in routers:
        number = FRR_AS if one in (FRR, FRR6) else ROUTERS_AS
        said.append(f"{one},{number},{password if one == routers[0] else PASSWORD}")
    node.must("bgp", ",".join(own_of(node)), str(NODES_AS), str(HOLD), learned, *said)


def speak_ospf(node, password=OSPF_PASSWORD):
    node.must("ospf", ",".join(own_of(node)), "up0", LEARNED, password)


def neighbours(node):
    """{address: (established, BIRD's words)}"""
    lines = node.must("neighbours")[1:]
    return {address: (state == "established", " ".join(words))
            for address, state, *words in map(str.split, lines)}


def await_established(node, *addresses):
    wait_until(f"{node.name} speaks with {', '.join(addresses)}",
               lambda: all(neighbours(node).get(one, (False,))[0] for one in addresses))


def family_of(destination):
    return "-6" if ":" in destination else "-4"


def await_route(namespace, destination, is_there=True, family=None):
    words = family or family_of(destination)
    wait_until(f"{namespace} has {'a' if is_there else 'no'} route to {destination}",
               lambda: (destination in routes_of(namespace, words)) == is_there)


def counter(namespace, name):
    """Of the kernel's TCP, in that namespace."""
    with inside(namespace), open("/proc/thread-self/net/netstat", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(values[names.index(name)])


def process_of_bird(lab, node):
    with open(f"{lab.folder}/{node.name.removeprefix('node-')}/bird.pid", encoding="ascii") as file:
        return int(file.read())


def answered(text):
    return int(re.search(r"(\d+) received", text).group(1))
