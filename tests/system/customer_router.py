"""A customer's router on a node's uplink: BIRD 2 with BGP and OSPF, in its own namespace."""

import json
import pathlib
import subprocess

from harness import wait_until

NODE, ROUTER = "192.0.2.11", "192.0.2.1"
ROUTER6 = "2001:db8:f::1"
UPLINK = "up0"
NODES_AS, ROUTERS_AS = 64601, 64512
GUESTS6 = "2001:db8:99::/64"
BEHIND, BEHIND6 = "10.60.0.0/16", "2001:db8:60::/44"  # where prefixes behind guests may lie
BEGIN = """
router id {router};
define guests = [ {guests}{{32,32}}, {behind}{{16,32}} ];
define guests6 = [ {guests6}{{128,128}}, {behind6}{{44,128}} ];
protocol device {{ scan time 10; }}
protocol kernel {{
  merge paths on;
  ipv4 {{ import none; export where net ~ guests || net = {guests} || proto = "core"; }};
}}
protocol kernel {{
  merge paths on;
  ipv6 {{ import none; export where net ~ guests6 || net = {guests6}; }};
}}
# What no guest has is unreachable at once, and never sent on by the default route.
protocol static aggregate {{ ipv4; route {guests} unreachable; }}
protocol static aggregate6 {{ ipv6; route {guests6} unreachable; }}
protocol static outside {{ ipv4; route 0.0.0.0/0 unreachable; }}
protocol static outside6 {{ ipv6; route ::/0 unreachable; }}
protocol ospf v2 {{
  tick 1;
  ipv4 {{ import where net ~ guests; export where net = 0.0.0.0/0; }};
  area 0 {{
    interface "{uplink}" {{
      hello 1; dead 4; wait 2; retransmit 2;
      authentication cryptographic; password "{ospf_password}" {{ id 1; algorithm keyed md5; }};
    }};
  }};
}}
protocol ospf v3 {{
  tick 1;
  ipv6 {{ import where net ~ guests6; export where net = ::/0; }};
  area 0 {{
    interface "{uplink}" {{
      hello 1; dead 4; wait 2; retransmit 2;
      authentication cryptographic; password "{ospf_password}" {{ id 1; algorithm hmac sha256; }};
    }};
  }};
}}
"""
OF_A_NODE = """
protocol bgp node{six}_{number} {{
  local {router} as {as_here}; neighbor {node} as {as_there};
  hold time {hold}; connect delay time 1; connect retry time 2; error wait time 1, 2;
  password "{password}";
  {channel} {{
    import where net ~ guests{six};
    export where net = {default} || net ~ guests{six};
  }};
}}
"""


def bird_config(guests, nodes, password, ospf_password, hold):
    """Of a BIRD that is the router of `nodes` (their addresses, of both families), whose guests of
    IPv4 are in `guests`."""
    text = BEGIN.format(router=ROUTER, guests=guests, guests6=GUESTS6, behind=BEHIND,
                        behind6=BEHIND6, uplink=UPLINK, ospf_password=ospf_password)
    for number, node in enumerate(nodes):
        is_six = ":" in node
        text += OF_A_NODE.format(
            number=number, node=node, hold=hold, password=password, as_here=ROUTERS_AS,
            as_there=NODES_AS, six="6" if is_six else "", router=ROUTER6 if is_six else ROUTER,
            channel="ipv6" if is_six else "ipv4", default="::/0" if is_six else "0.0.0.0/0")
    return text


def run(*words):
    done = subprocess.run([str(one) for one in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


class CustomerRouter:
    """Lives with `with`; `node` is the namespace of the node, which gets the link `up0`."""

    def __init__(self, folder, node, guests, password):
        self.folder, self.node, self.guests = pathlib.Path(folder), node, guests
        self.name = f"{node}-rt"
        self.config = bird_config(guests, [NODE], password, password, hold=9)
        self.bird = None

    def __enter__(self):
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "add", UPLINK, "type", "veth", "peer", "name", UPLINK,
            "netns", self.node)
        for namespace, address in ((self.name, ROUTER), (self.node, NODE)):
            run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", UPLINK)
            run("ip", "-n", namespace, "link", "set", UPLINK, "up")
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        self.start()
        return self

    def start(self):
        file = self.folder / "router.conf"
        file.write_text(self.config)
        with open(self.folder / "router.log", "a", encoding="utf-8") as log:
            self.bird = subprocess.Popen(
                ["ip", "netns", "exec", self.name, "/usr/sbin/bird", "-f", "-c", str(file), "-s",
                 str(self.folder / "router.ctl"), "-P", str(self.folder / "router.pid")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self):
        self.bird.terminate()  # it takes its routes along
        self.bird.wait()

    def __exit__(self, *_):
        self.stop()
        run("ip", "-n", self.name, "link", "delete", UPLINK)
        run("ip", "netns", "delete", self.name)

    def has_static_route(self):
        """As a router that asks by ARP."""
        self.stop()
        wait_until("the router's own routes are gone",
                   lambda: not self.routes())
        run("ip", "-n", self.name, "route", "add", self.guests, "dev", UPLINK)

    def routes(self):
        """{destination: gateway} within the guests' prefix, but for the aggregate."""
        found = json.loads(run("ip", "-j", "-n", self.name, "route", "show", "root", self.guests)
                           or "[]")
        return {one["dst"]: one.get("gateway") for one in found if one["dst"] != self.guests}

    def await_route(self, address, is_there=True):
        wait_until(f"the router has {'a' if is_there else 'no'} route to {address}",
                   lambda: (self.routes().get(address) == NODE) == is_there)

    def ping(self, address, *words):
        """What ping prints."""
        done = subprocess.run(["ip", "netns", "exec", self.name, "ping", "-n", *words, address],
                              capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def answers(self, address):
        return " 0% packet loss" in self.ping(address, "-c", "3", "-i", "0.1", "-W", "1")

    def begin_pings(self, address, count):
        """One each 20 ms, in the background; `lost` waits for them."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, "ping", "-n", "-q", "-i", "0.02",
                                 "-c", str(count), "-W", "1", address], stdout=subprocess.PIPE,
                                text=True)


def lost(pings):
    """How many were not answered."""
    words = pings.communicate()[0].replace(",", "").split()
    return int(words[words.index("packets")-1]) - int(words[words.index("received")-1])
