"""The routers of a customer, in the lab of pvip_lab.py: one is BIRD, the other FRR. Both speak BGP
with the nodes, the first OSPF, too, and both hold what lies behind them (198.51.100.1).
"""

import json
import os
import re
import subprocess

import pvip_lab
from harness import wait_until
from pvip_lab import BEYOND, NODES, ROUTER, inside, run

FRR, FRR_NAME = "192.0.2.2", "frr"
GUESTS = "10.99.0.0/24"
NODES_AS, ROUTERS_AS = 64601, 64512
PASSWORD, OSPF_PASSWORD = "a#b;{c}'d\\e", "of-ospf"  # characters that mean something elsewhere
HOLD = 3  # seconds

BIRD_BEGIN = f"""
router id {ROUTER};
protocol device {{ scan time 10; }}
protocol kernel {{
  merge paths on;
  ipv4 {{ import none; export where net ~ [ {GUESTS}{{24,32}} ]; }};
}}
# What no guest has is unreachable at once, and never sent on by the default route.
protocol static aggregate {{ ipv4; route {GUESTS} unreachable; }}
protocol static outside {{ ipv4; route 0.0.0.0/0 unreachable; }}
protocol ospf v2 {{
  tick 1;
  ipv4 {{ import where net ~ [ {GUESTS}{{32,32}} ]; export where net = 0.0.0.0/0; }};
  area 0 {{
    interface "up0" {{
      hello 1; dead 4; wait 2; retransmit 2;
      authentication cryptographic; password "{OSPF_PASSWORD}" {{ id 1; algorithm keyed md5; }};
    }};
  }};
}}
"""
BIRD_NODE = """
protocol bgp node_{name} {{
  local {router} as {as_here}; neighbor {address} as {as_there};
  hold time {hold}; connect delay time 1; password "{password}";
  ipv4 {{
    import where net ~ [ {guests}{{32,32}} ];
    export where net = 0.0.0.0/0 || net ~ [ {guests}{{32,32}} ];
  }};
}}
"""
FRR_BEGIN = f"""
router bgp {ROUTERS_AS}
 bgp router-id {FRR}
 no bgp ebgp-requires-policy
 coalesce-time 0
 bgp graceful-restart restart-time 1
 timers bgp 1 {HOLD}
"""
FRR_NODE = """
 neighbor {address} remote-as {as_there}
 neighbor {address} password {password}
 neighbor {address} timers connect 2
 address-family ipv4 unicast
  neighbor {address} default-originate
  neighbor {address} prefix-list guests in
 exit-address-family
"""
FRR_END = f"""
ip prefix-list guests permit {GUESTS} ge 32
"""


def of_each_node(template):
    return "".join(template.format(name=name, address=address, router=ROUTER, guests=GUESTS,
                                   as_here=ROUTERS_AS, as_there=NODES_AS, hold=HOLD,
                                   password=PASSWORD) for name, address in NODES.items())


def routes_of(namespace, *words):
    """{destination: route} of the kernel, by iproute2."""
    return {one["dst"]: one for one in json.loads(run("ip", "-j", "-n", namespace, "route", "show",
                                                      *words))}


class UpstreamLab(pvip_lab.Lab):
    def __init__(self, folder):
        super().__init__(folder)
        self.folder, self.routers = folder, []
        run("ip", "netns", "add", FRR_NAME)
        run("ip", "-n", FRR_NAME, "link", "set", "lo", "up")
        self.connect(FRR_NAME, FRR)
        run("ip", "-n", FRR_NAME, "address", "add", f"{BEYOND}/32", "dev", "lo")
        run("ip", "-n", FRR_NAME, "route", "add", "unreachable", GUESTS)
        for key in ("ip_forward=1", "conf.all.send_redirects=0", "conf.up0.send_redirects=0"):
            run("ip", "netns", "exec", FRR_NAME, "sysctl", "-qw", f"net.ipv4.{key}")
        for node in self.nodes.values():
            run("ip", "-n", node.name, "route", "del", "default")

    def announce(self, address, node):
        """Nobody does it for the nodes."""

    def start_bird(self):
        config = f"{self.folder}/router.conf"
        with open(config, "w", encoding="utf-8") as file:
            file.write(BIRD_BEGIN + of_each_node(BIRD_NODE))
        self._start("router", "/usr/sbin/bird", "-f", "-c", config, "-s",
                    f"{self.folder}/router.ctl", "-P", f"{self.folder}/router.pid")

    def start_frr(self):
        """Its folders are of this program's mount namespace."""
        for folder in ("/run/frr", "/etc/frr"):
            run("mount", "-t", "tmpfs", "-o", "mode=0755", "none", folder)
            for path in (folder, f"{folder}/{FRR_NAME}"):
                os.makedirs(path, exist_ok=True)
                run("chown", "frr:frr", path)
        for daemon, text in (("zebra", "\n"), ("bgpd", FRR_BEGIN + of_each_node(FRR_NODE)
                                               + FRR_END)):
            config = f"/etc/frr/{FRR_NAME}/{daemon}.conf"
            with open(config, "w", encoding="utf-8") as file:
                file.write(text)
            self._start(FRR_NAME, f"/usr/lib/frr/{daemon}", "-N", FRR_NAME, "-f", config, "-A",
                        "127.0.0.1")
            wait_until(f"{daemon} listens",
                       lambda daemon=daemon: os.path.exists(f"/run/frr/{FRR_NAME}/{daemon}.vty"))

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


def speak_bgp(node, routers=(ROUTER, FRR), password=PASSWORD, learned=f"default,{GUESTS}"):
    """`password`: of the first router; the others have the right one."""
    name = node.name.removeprefix("node-")
    node.must("bgp", NODES[name], str(NODES_AS), str(HOLD), learned,
              *(f"{one},{ROUTERS_AS},{password if one == routers[0] else PASSWORD}"
                for one in routers))


def neighbours(node):
    """{address: (established, BIRD's words)}"""
    lines = node.must("neighbours")[1:]
    return {address: (state == "established", " ".join(words))
            for address, state, *words in map(str.split, lines)}


def await_established(node, *addresses):
    wait_until(f"{node.name} speaks with {', '.join(addresses)}",
               lambda: all(neighbours(node).get(one, (False,))[0] for one in addresses))


def await_route(namespace, destination, is_there=True):
    wait_until(f"{namespace} has {'a' if is_there else 'no'} route to {destination}",
               lambda: (destination in routes_of(namespace)) == is_there)


def counter(namespace, name):
    """Of the kernel's TCP, in that namespace."""
    with inside(namespace), open("/proc/thread-self/net/netstat", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(values[names.index(name)])


def process_of_bird(lab, node):
    with open(f"{lab.folder}/{node.name.removeprefix('node-')}/bird.pid", encoding="ascii") as file:
        return int(file.read())


def ping(namespace, address, *words):
    """What ping prints."""
    return subprocess.run(["ip", "netns", "exec", namespace, "ping", "-n", *words, address],
                          capture_output=True, text=True, check=False).stdout


def answered(text):
    return int(re.search(r"(\d+) received", text).group(1))
