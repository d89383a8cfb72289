"""How routers hear of guests: by BGP and OSPF from each node's BIRD, and by ARP. Real routers, one
BIRD and one FRR. Needs root.

Prints "PROMISE <id> pass <figure>" for each; docs/networking.md has the same table, which
`pvip_upstream_test.py --write-table` writes and a run judges. Figures that vary from run to run are
told as bounds there, and as they were in a "FIGURE" line. Standard library only.
"""

import collections
import json
import os
import shutil
import signal
import sys
import tempfile

import pvip_lab
import upstream_lab
from harness import ROOT, run_tests, wait_until
from promises import Promises
from pvip_lab import BEYOND, NODES, ROUTER, Pings, run
from upstream_lab import (FRR, FRR_NAME, GUESTS, HOLD, OSPF_PASSWORD, answered, await_established,
                          await_route, counter, neighbours, ping, process_of_bird, routes_of,
                          speak_bgp)

PROMISES = Promises(ROOT / "docs" / "networking.md", "promises of upstream")
promise = PROMISES.show
LAB = None

# Pings are 10 ms apart. Bounds are far above what is seen, for machines that are busy: they tell a
# move that routers hear of from one that they find out by themselves.
MOVE_LOST_MAX = 100
OSPF_MOVE_LOST_MAX = 300  # BIRD computes OSPF's routes once a second
ROUTER_LOST_MAX = 100 * (HOLD + 6)  # until the hold time is over, and the restart time of FRR


Namespace = collections.namedtuple("Namespace", "name")


def figure(name, what):
    print(f"FIGURE {name} {what}", flush=True)


def host(guest):
    return guest.address  # iproute2 writes no /32


def other_node(node):
    return next(one for one in LAB.nodes.values() if one is not node)


def reached_from(namespace, *words):
    for guest in LAB.guests:
        said = ping(namespace, guest.address, "-q", "-c", "20", "-i", "0.01", *words)
        assert answered(said) == 20, said


def move(guest, port):
    """Naively: everything at the new node, then nothing at the old one."""
    old, new = guest.node, other_node(guest.node)
    new.must("ensure", f"{port},quiet")
    guest.unplug()
    guest.node = new
    guest.plug()
    new.must("ensure", port)
    old.must("remove", guest.link)


def promise_of_a_move(protocol, most, told="", more=""):
    """That the first guest's move loses no more pings; what is told of its port; more words."""
    guest = LAB.guests[0]
    with Pings(guest, BEYOND) as pings:
        move(guest, guest.port(told))
        lost = pings.lost()
    figure(f"upstream:{protocol}:move", f"{lost} pings of 10 ms lost")
    assert lost <= most, lost
    promise(f"upstream:{protocol}:move", f"fewer than {most} pings of 10 ms lost{more}")


# --- BGP -----------------------------------------------------------------------------------------


def bgp_tells_both_routers_of_each_guest():
    LAB.start_bird()
    LAB.start_frr()
    for node in LAB.nodes.values():
        speak_bgp(node)
    for node in LAB.nodes.values():
        await_established(node, ROUTER, FRR)
    for guest in LAB.guests:
        for router in ("router", FRR_NAME):
            await_route(router, host(guest))
            via = routes_of(router)[host(guest)]["gateway"]
            assert via == NODES[guest.node.name.removeprefix("node-")], via
    for node in LAB.nodes.values():
        wait_until("the default route has two ways",
                   lambda node=node: len(routes_of(node.name)["default"].get("nexthops", [])) == 2)
    reached_from("router")
    promise("upstream:bgp:announced", "0 of 20 pings from the router to each guest lost; its "
            "kernel has a route to each")
    reached_from(FRR_NAME)
    promise("upstream:frr", "the same with FRR as the router")


def nodes_learn_of_each_others_guests():
    first, _, far = LAB.guests
    for guest, node in ((far, first.node), (first, far.node)):
        await_route(node.name, host(guest))
        route = routes_of(node.name)[host(guest)]
        via = NODES[guest.node.name.removeprefix("node-")]
        ways = [one["gateway"] for one in route.get("nexthops", [route])]
        assert set(ways) == {via}, route
    assert first.lost(far.address) == 0
    promise("upstream:learn", "each node's kernel has the other's guests by way of the other node")


def only_what_is_marked_is_told():
    """What is told later than the foreign ones is there, and they are not."""
    node = LAB.guests[0].node
    foreign = (("10.99.0.200/32", "static"), ("10.99.0.201/32", "142"), ("10.99.0.208/28", "143"))
    for prefix, protocol in (*foreign, ("10.99.0.220/32", "143")):
        run("ip", "-n", node.name, "route", "add", prefix, "dev", "lo", "proto", protocol)
    for router in ("router", FRR_NAME):
        await_route(router, "10.99.0.220")
        for prefix, _ in foreign:
            assert prefix.removesuffix("/32") not in routes_of(router), (router, prefix)
    for prefix, _ in (*foreign, ("10.99.0.220/32", "143")):
        run("ip", "-n", node.name, "route", "del", prefix)
    await_route("router", "10.99.0.220", False)
    promise("upstream:bgp:only-ours", "another program's route to a guest's address, and ours to "
            "a prefix, are told to nobody")


def a_guest_that_left_is_unreachable_at_once():
    first, second, far = LAB.guests
    first.node.must("ensure", second.port(",quiet"))
    for router in ("router", FRR_NAME):
        await_route(router, host(second), False)
    await_route(far.node.name, host(second), False)
    for namespace in (first.name, far.name):
        said = ping(namespace, second.address, "-c", "2", "-i", "0.2", "-W", "5")
        assert said.count("Destination Host Unreachable") == 2 and "exceeded" not in said, said
    for router in ("router", FRR_NAME):
        assert routes_of(router)[GUESTS]["type"] == "unreachable"
    second.node.must("ensure", second.port())
    for router in ("router", FRR_NAME):
        await_route(router, host(second))
    assert second.lost(BEYOND) == 0
    promise("upstream:bgp:withdrawn", "told again when its guest runs; between, each ping of "
            "a neighbour on its node and of a guest on the other is answered as unreachable")


def the_death_of_the_daemon_tells_nobody():
    guest = LAB.guests[0]
    bird = process_of_bird(LAB, guest.node)
    with Pings(guest, BEYOND) as pings:
        guest.node.kill()
        guest.node.start()
        assert guest.node.must("reconcile", *LAB.ports_of(guest.node)) == ["ok 0 0 0"]
        speak_bgp(guest.node)
        lost = pings.lost()
    assert process_of_bird(LAB, guest.node) == bird
    assert all(up for up, _ in neighbours(guest.node).values()), neighbours(guest.node)
    assert lost == 0, lost
    promise("upstream:bgp:daemon-killed", "0 pings lost; BIRD goes on and is taken over")


def the_death_of_bird_loses_nothing():
    guest = LAB.guests[0]
    bird = process_of_bird(LAB, guest.node)
    with Pings(Namespace("router"), guest.address) as pings, \
            Pings(Namespace(FRR_NAME), guest.address) as of_frr:
        os.kill(bird, signal.SIGKILL)
        wait_until("BIRD is dead", lambda: guest.node.say("neighbours")[0].startswith("error"))
        speak_bgp(guest.node)
        await_established(guest.node, ROUTER, FRR)
        for router in ("router", FRR_NAME):
            await_route(router, host(guest))
        lost, lost_of_frr = pings.lost(), of_frr.lost()
    assert process_of_bird(LAB, guest.node) != bird
    figure("upstream:bgp:bird-killed", f"{lost} pings of 10 ms lost from BIRD as router, "
           f"{lost_of_frr} from FRR")
    assert lost == 0 and lost_of_frr <= MOVE_LOST_MAX, (lost, lost_of_frr)
    promise("upstream:bgp:bird-killed", "0 pings lost from BIRD as router; fewer than "
            f"{MOVE_LOST_MAX} of 10 ms from FRR 8.4, which forgets the routes when it speaks with "
            "the new one")


def one_of_two_routers_may_die():
    guest = LAB.guests[0]
    way = json.loads(run("ip", "-j", "-n", guest.node.name, "route", "get", BEYOND, "from",
                         guest.address, "iif", guest.link))[0]["gateway"]
    dead, alive = (("router", FRR) if way == ROUTER else (FRR_NAME, ROUTER))
    with Pings(guest, BEYOND) as pings:
        LAB.switch_port(dead, "down")
        wait_until("the node knows",
                   lambda: routes_of(guest.node.name)["default"].get("gateway") == alive)
        lost = pings.lost()
        LAB.switch_port(dead, "up")
        await_established(guest.node, ROUTER, FRR)
    figure("upstream:bgp:router-lost", f"{lost} pings of 10 ms lost, hold time {HOLD} s")
    assert lost <= ROUTER_LOST_MAX, lost
    promise("upstream:bgp:router-lost", f"two ways, used both; fewer than {ROUTER_LOST_MAX} pings "
            f"of 10 ms lost when the one in use falls silent, with a hold time of {HOLD} s")


def a_wrong_password_is_told_and_nothing_is():
    guest = LAB.guests[2]
    wrong = counter("router", "TCPMD5Failure")
    speak_bgp(guest.node, password="wrong")
    wait_until("the router refuses", lambda: counter("router", "TCPMD5Failure") > wrong + 1)
    state = neighbours(guest.node)
    assert not state[ROUTER][0] and state[FRR][0], state
    speak_bgp(guest.node)
    await_established(guest.node, ROUTER, FRR)
    promise("upstream:bgp:wrong-password", "no session with that router, which counts the "
            "failures; said so by the node; the other session is untouched")


def a_move_is_told_by_bgp():
    promise_of_a_move("bgp", MOVE_LOST_MAX, more=", without a forwarding tail")


# --- OSPF ----------------------------------------------------------------------------------------


def ospf_tells_the_router_of_each_guest():
    for name, node in LAB.nodes.items():
        node.must("ospf", NODES[name], "up0", f"default,{GUESTS}", OSPF_PASSWORD)
    for node in LAB.nodes.values():
        await_established(node, ROUTER)
    for guest in LAB.guests:
        await_route("router", host(guest))
        await_route(other_node(guest.node).name, host(guest))
        wait_until(f"{guest.name} reaches what is behind the router",
                   lambda guest=guest: guest.lost(BEYOND, 1) == 0)
    reached_from("router", "-I", BEYOND)
    promise("upstream:ospf:announced", "0 of 20 pings to each guest lost from behind the router; "
            "nodes know each other's guests")


def a_move_is_told_by_ospf():
    promise_of_a_move("ospf", OSPF_MOVE_LOST_MAX)


# --- static routes and ARP -----------------------------------------------------------------------


def arp_is_answered_for_each_guest():
    for node in LAB.nodes.values():
        node.must("stop")
    for guest in LAB.guests:
        await_route("router", host(guest), False)
    run("ip", "-n", "router", "route", "del", "unreachable", GUESTS)
    run("ip", "-n", "router", "route", "add", GUESTS, "dev", "up0")
    for node in LAB.nodes.values():
        run("ip", "-n", node.name, "route", "add", "default", "via", ROUTER)
    for guest in LAB.guests:
        assert answered(ping("router", guest.address, "-q", "-c", "1", "-W", "1")) == 0
    for guest in LAB.guests:
        guest.node.must("ensure", guest.port(",uplink=up0"))
    reached_from("router", "-I", BEYOND)
    for node in LAB.nodes.values():
        shown = run("ip", "netns", "exec", node.name, "sysctl", "-n", "net.ipv4.conf.up0.proxy_arp")
        assert shown == "0\n", shown
    promise("upstream:static:announced", "0 of 20 pings to each guest lost from behind the router, "
            "none answered before; proxy_arp is 0 on the uplink")


def a_move_is_told_by_arp():
    promise_of_a_move("static", MOVE_LOST_MAX, told=",uplink=up0")


def the_document_has_these_promises():
    PROMISES.judge_the_document()


def main():
    global LAB
    pvip_lab.enter()
    folder = tempfile.mkdtemp(prefix="orrery-upstream-")
    os.chmod(folder, 0o755)  # BIRD is nobody in particular
    LAB = upstream_lab.UpstreamLab(folder)
    for node in ("a", "a", "b"):
        LAB.guest(node)
    tests = [bgp_tells_both_routers_of_each_guest, nodes_learn_of_each_others_guests,
             only_what_is_marked_is_told, a_guest_that_left_is_unreachable_at_once,
             the_death_of_the_daemon_tells_nobody, the_death_of_bird_loses_nothing,
             one_of_two_routers_may_die, a_wrong_password_is_told_and_nothing_is,
             a_move_is_told_by_bgp, ospf_tells_the_router_of_each_guest, a_move_is_told_by_ospf,
             arp_is_answered_for_each_guest, a_move_is_told_by_arp,
             the_document_has_these_promises]
    try:
        status = run_tests(tests)
    finally:
        LAB.end()
    shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    sys.exit(main())
