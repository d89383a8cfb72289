"""How a guest moves to another node while others send to it: what its two ports want in turn, as
pvip/plan/plan.hpp says it. For guests of pvip_lab.py and of pvip_qemu.py.
"""

import json

from harness import wait_until
from pvip_lab import NODES, NODES6, run
from upstream_lab import gateways_of, routes_of


def name_of(node):
    return node.name.removeprefix("node-")


def link_of(node):
    """Its uplink's Ethernet address, and its link-local one."""
    shown = json.loads(run("ip", "-j", "-n", node.name, "address", "show", "up0"))[0]
    local = [one["local"] for one in shown["addr_info"] if one["scope"] == "link"]
    return shown["address"], local


def has_routes_by_its_node(router, guest, families=("-4", "-6")):
    """Whether the router's kernel sends what is for the guest to its node, and nowhere else."""
    name, (_, local) = name_of(guest.node), link_of(guest.node)
    for family in families:
        address, own = ((guest.address, [NODES[name]]) if family == "-4" else
                        (guest.address6, [NODES6[name], *local]))
        ways = gateways_of(routes_of(router, family).get(address, {"gateway": None}))
        if not ways <= set(own):
            return False
    return True


def has_neighbours_at_its_node(router, guest, families=("-4", "-6")):
    """The same of a router that asks by ARP, and by neighbour discovery."""
    own, _ = link_of(guest.node)
    addresses = [guest.address if one == "-4" else guest.address6 for one in families]
    shown = [json.loads(run("ip", "-j", "-n", router, "neigh", "show", address) or "[]")
             for address in addresses]
    return all([one.get("lladdr") for one in each] == [own] for each in shown)


def move(guest, new, all_know, told=""):
    """To another node, with a forwarding tail at the old one until all routers know."""
    old, port = guest.node, guest.port(told)
    tail = f",tail={NODES[name_of(new)]},tail6={NODES6[name_of(new)]}"
    new.must("ensure", f"{port},quiet")
    guest.stop_for(new)
    new.must("ensure", f"{port},awaited")
    old.must("ensure", f"{port}{tail}")
    guest.go_on()
    new.must("ensure", port)
    wait_until(f"all know that {guest.name} is on {new.name}", all_know)
    old.must("ensure", f"{port}{tail},quiet")
    guest.leave_nothing()
    old.must("remove", guest.link)
