"""How routers hear of guests: by BGP and OSPF from each node's BIRD, and by ARP. Real routers, one
BIRD and one FRR. Needs root.

Prints "PROMISE <id> pass <figure>" for each; docs/networking.md has the same table, which
`pvip_upstream_test.py --write-table` writes and a run judges. Figures that vary from run to run are
told as bounds there, and as they were in a "FIGURE" line. Standard library only.
"""

import collections
import json
import os
import re
import shutil
import signal
import sys
import tempfile

import pvip_lab
import upstream_lab
from customer_router import GUESTS6
from harness import ROOT, run_tests, wait_until
from promises import Promises
from pvip_lab import BEYOND, BEYOND6, ROUTER, ROUTER6, Pings, lost_from, ping_all, run
from pvip_move import has_neighbours_at_its_node, has_routes_by_its_node, move
from upstream_lab import (ALL_ROUTERS, AT_BEHIND, FRR, FRR6, FRR_NAME, FRR_OSPF, FRR_OSPF6,
                          FRR_TO_CORE, GUESTS, HOLD, OTHER_RACK, OWN_BEHIND, TO_CORE, answered,
                          await_established, await_route, counter, family_of, gateways_of,
                          neighbours, own_of, process_of_bird, routes_of, speak_bgp,
                          speak_ospf)

PROMISES = Promises(ROOT / "docs" / "networking.md", "promises of upstream")
promise = PROMISES.show
LAB = None

# Pings are 10 ms apart. Bounds are far above what is seen, for machines that are busy: they tell a
# move that routers hear of from one that they find out by themselves.
MOVE_LOST_MAX = 20
FRR_LOST_MAX = 100
ROUTER_LOST_MAX = 100 * (HOLD + 6)  # until the hold time is over, and the restart time of FRR


Namespace = collections.namedtuple("Namespace", "name")


def figure(name, what):
    print(f"FIGURE {name} {what}", flush=True)


def addresses_of(guest):
    """As iproute2 writes routes to them, without /32 and /128."""
    return guest.address, guest.address6


def other_node(node):
    return next(one for one in LAB.nodes.values() if one is not node)


def reached_from(namespace, family=None):
    """Each guest at each address, of both families or of one, and what is behind the first."""
    every = (*(one for guest in LAB.guests for one in addresses_of(guest)), *AT_BEHIND)
    some = [one for one in every if family in (None, family_of(one))]
    lost = lost_from(namespace, some)
    assert not any(lost), (namespace, some, lost)


def await_routes_to(namespace, *guests, family=None):
    for guest in guests:
        for address, via in zip(addresses_of(guest), own_of(guest.node)):
            if family in (None, family_of(address)):
                wait_until(f"{namespace} has a way to {address} by {via}, or by its link-local "
                           "address", lambda address=address, via=via: leads_by(
                               via, routes_of(namespace, family_of(address)).get(address)))


def leads_by(via, route):
    found = gateways_of(route or {})
    return found == {via} or all(one.startswith("fe80:") for one in found)


def promise_of_a_move(protocol, is_known, told=""):
    """That the first guest's move loses hardly a ping; what is told of its port."""
    guest = LAB.guests[0]
    with Pings(guest, BEYOND) as pings, Pings(guest, BEYOND6) as pings6, \
            Pings(Namespace("router"), guest.address) as of_router:
        move(guest, other_node(guest.node), lambda: is_known(guest), told)
        lost = pings.lost(), pings6.lost(), of_router.lost()
    figure(f"upstream:{protocol}:move", f"{lost[0]} pings of IPv4 and {lost[1]} of IPv6 lost by "
           f"the guest, {lost[2]} of IPv4 by the router, 10 ms each")
    assert max(lost) <= MOVE_LOST_MAX, lost
    promise(f"upstream:{protocol}:move", f"fewer than {MOVE_LOST_MAX} pings of 10 ms lost by the "
            "guest, in each family, and by the router")


# --- BGP -----------------------------------------------------------------------------------------


def bgp_tells_both_routers_of_each_guest():
    LAB.start_bird()
    LAB.start_frr()
    for node in LAB.nodes.values():
        speak_bgp(node)
    for node in LAB.nodes.values():
        await_established(node, *ALL_ROUTERS)
    for router in ("router", FRR_NAME):
        await_routes_to(router, *LAB.guests)
        for prefix in OWN_BEHIND:
            await_route(router, prefix)
    for node in LAB.nodes.values():
        for family in ("-4", "-6"):
            wait_until("the default route has two ways", lambda node=node, family=family: len(
                gateways_of(routes_of(node.name, family).get("default", {"gateway": ""}))) == 2)
    reached_from("router")
    promise("upstream:bgp:announced", "0 of 20 pings from the router to each guest lost, in each "
            "family, nor to networks behind a guest; its kernel has a route to each")
    reached_from(FRR_NAME)
    promise("upstream:frr", "the same with FRR as the router")


def nodes_learn_of_each_others_guests():
    first, _, far = LAB.guests
    for guest, node in ((far, first.node), (first, far.node)):
        for address, via in zip(addresses_of(guest), own_of(guest.node)):
            await_route(node.name, address)
            assert gateways_of(routes_of(node.name, family_of(address))[address]) == {via}
    assert first.lost(far.address) == 0 and first.lost(far.address6) == 0
    promise("upstream:learn", "each node's kernel has the other's guests by way of the other node, "
            "in each family")


def only_what_is_marked_is_told():
    """What is told later than the foreign ones is there, and they are not."""
    node = LAB.guests[0].node
    foreign = (("10.99.0.200", "static"), ("10.99.0.201", "142"), ("10.60.7.0/24", "142"),
               ("2001:db8:99::200", "static"))
    own = (("10.99.0.220", "143"), ("2001:db8:99::220", "143"))
    for prefix, protocol in (*foreign, *own):
        run("ip", "-n", node.name, "route", "add", prefix, "dev", "up0", "proto", protocol)
    for router in ("router", FRR_NAME):
        for prefix, _ in own:
            await_route(router, prefix)
        for prefix, _ in foreign:
            assert prefix not in routes_of(router, family_of(prefix)), (router, prefix)
    for prefix, _ in (*foreign, *own):
        run("ip", "-n", node.name, "route", "del", prefix)
    for prefix, _ in own:
        await_route("router", prefix, False)
    promise("upstream:bgp:only-ours", "another program's route to a guest's address of either "
            "family, or to a prefix, is told to nobody")


def a_guest_that_left_is_unreachable_at_once():
    first, second, far = LAB.guests
    first.node.must("ensure", second.port(",quiet"))
    for address in addresses_of(second):
        for namespace in ("router", FRR_NAME, far.node.name):
            await_route(namespace, address, False)
    for namespace in (first.name, far.name):
        for said in ping_all(namespace, addresses_of(second), "-c", "2", "-i", "0.2", "-W", "5"):
            told = len(re.findall("Destination Host Unreachable|Destination unreachable: No route",
                                  said))
            assert told == 2 and "exceeded" not in said, said
    for router in ("router", FRR_NAME):
        for guests in (GUESTS, GUESTS6):
            assert routes_of(router, family_of(guests))[guests]["type"] == "unreachable"
    second.node.must("ensure", second.port())
    for router in ("router", FRR_NAME):
        await_routes_to(router, second)
    assert second.lost(BEYOND) == 0 and second.lost(BEYOND6) == 0
    promise("upstream:bgp:withdrawn", "told again when its guest runs; between, each ping of "
            "a neighbour on its node and of a guest on the other is answered as unreachable, in "
            "each family")


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
            Pings(Namespace("router"), guest.address6) as pings6, \
            Pings(Namespace(FRR_NAME), guest.address) as of_frr:
        os.kill(bird, signal.SIGKILL)
        wait_until("BIRD is dead", lambda: guest.node.say("neighbours")[0].startswith("error"))
        speak_bgp(guest.node)
        await_established(guest.node, *ALL_ROUTERS)
        for router in ("router", FRR_NAME):
            await_routes_to(router, guest)
        lost, lost_of_frr = pings.lost() + pings6.lost(), of_frr.lost()
    assert process_of_bird(LAB, guest.node) != bird
    figure("upstream:bgp:bird-killed", f"{lost} pings of 10 ms lost from BIRD as router, "
           f"{lost_of_frr} from FRR")
    assert lost == 0 and lost_of_frr <= FRR_LOST_MAX, (lost, lost_of_frr)
    promise("upstream:bgp:bird-killed", "0 pings lost from BIRD as router, in each family; fewer "
            f"than {FRR_LOST_MAX} of 10 ms from FRR 8.4, which forgets the routes when it speaks "
            "with the new one")


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
        await_established(guest.node, *ALL_ROUTERS)
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
    assert not state[ROUTER][0] and all(state[one][0] for one in (FRR, ROUTER6, FRR6)), state
    speak_bgp(guest.node)
    await_established(guest.node, *ALL_ROUTERS)
    promise("upstream:bgp:wrong-password", "no session with that router, which counts the "
            "failures; said so by the node; the other sessions are untouched")


def a_move_is_told_by_bgp():
    promise_of_a_move("bgp", lambda guest: has_routes_by_its_node("router", guest)
                      and has_routes_by_its_node(FRR_NAME, guest))


# --- a rack's aggregate, below a core ---


def a_core_hears_one_prefix_of_a_rack():
    """The first guest, of the first rack's, was moved to the second one, and moves home."""
    guest, _, far = LAB.guests
    run("ip", "-n", FRR_NAME, "route", "del", "unreachable", GUESTS)  # which is the other rack's
    LAB.start_core()
    for node, router in ((LAB.nodes["a"], ROUTER), (LAB.nodes["b"], FRR)):
        speak_bgp(node, routers=(router,), learned="default")

    def core_has(*moved):
        """The racks' prefixes, and those that are not in their own rack, and nothing else."""
        wanted = {GUESTS: TO_CORE, OTHER_RACK: FRR_TO_CORE, **{one: FRR_TO_CORE for one in moved}}
        return {prefix: route["gateway"] for prefix, route in routes_of("core").items()
                if route.get("gateway")} == wanted

    def all_are_reached():
        for namespace in ("core", *(one.name for one in LAB.guests)):
            others = [one.address for one in LAB.guests if one.name != namespace]
            lost = lost_from(namespace, others)
            assert not any(lost), (namespace, others, lost)

    wait_until("the core has the racks, and two guests",
               lambda: core_has(guest.address, far.address))
    await_route("router", guest.address)
    await_route(FRR_NAME, GUESTS)
    for node, router in ((LAB.nodes["a"], ROUTER), (LAB.nodes["b"], FRR)):
        wait_until(f"{node.name} has its rack's router alone", lambda node=node, router=router:
                   gateways_of(routes_of(node.name).get("default", {"gateway": ""})) == {router})
    all_are_reached()
    with Pings(Namespace("core"), guest.address) as pings:
        # Until its tail is told no more, the core hears of it from both racks.
        move(guest, other_node(guest.node),
             lambda: has_routes_by_its_node("router", guest, ("-4",)))
        wait_until("the core has the racks, and one guest", lambda: core_has(far.address))
        lost = pings.lost()
    figure("upstream:rack:move", f"{lost} pings of 10 ms lost")
    assert lost <= MOVE_LOST_MAX, lost
    all_are_reached()
    promise("upstream:rack:aggregate", "a core's kernel has one prefix of each of two racks, BIRD "
            "and FRR, and single addresses of guests that are in another rack alone; 0 of 20 pings "
            "lost from there to each, nor between guests")
    promise("upstream:rack:move", f"from one rack to the other: fewer than {MOVE_LOST_MAX} pings "
            "of 10 ms lost from the core")
    for namespace in ("core", guest.name, far.name):
        for said in ping_all(namespace, ("10.99.0.250", "10.99.1.250"), "-c", "2", "-i", "0.2",
                             "-W", "5"):
            assert said.count("Unreachable") == 2 and "exceeded" not in said, said
    promise("upstream:rack:nobody", "an address that nobody has is unreachable at once from the "
            "core and from guests of both racks, and never sent to and fro")


# --- OSPF ----------------------------------------------------------------------------------------


def ospf_tells_the_routers_of_each_guest():
    LAB.start_frr_daemon("ospfd", FRR_OSPF)
    LAB.start_frr_daemon("ospf6d", FRR_OSPF6)  # unheard until nodes have no key
    for node in LAB.nodes.values():
        speak_ospf(node)
    for node in LAB.nodes.values():
        await_established(node, ROUTER, FRR)
        # Of IPv6 only the first router; and the other node, as one that tells nothing.
        wait_until(f"{node.name} hears OSPFv3", lambda node=node: len(
            [one for one, (up, _) in neighbours(node).items() if up and ":" in one]) == 2)
    await_routes_to("router", *LAB.guests)
    await_routes_to(FRR_NAME, *LAB.guests, family="-4")
    for prefix in OWN_BEHIND:
        await_route("router", prefix)
    await_route(FRR_NAME, OWN_BEHIND[0])
    for guest in LAB.guests:
        await_routes_to(other_node(guest.node).name, guest)
        for beyond in (BEYOND, BEYOND6):
            wait_until(f"{guest.name} reaches what is behind the routers",
                       lambda guest=guest, beyond=beyond: guest.lost(beyond, 1) == 0)
    reached_from("router")
    promise("upstream:ospf:announced", "0 of 20 pings to each guest lost from the router, "
            "in IPv6 by OSPFv3, nor to networks behind a guest; nodes know each other's guests")
    reached_from(FRR_NAME, family="-4")
    promise("upstream:ospf:frr", "the same with FRR as the router, in IPv4")


def a_move_is_told_by_ospf():
    promise_of_a_move("ospf", lambda guest: has_routes_by_its_node("router", guest))


def ospf_version_3_tells_frr_of_each_guest():
    """Without a key: FRR 8.4 takes none of BIRD's."""
    for node in LAB.nodes.values():
        speak_ospf(node, password="")
    await_routes_to(FRR_NAME, *LAB.guests, family="-6")
    await_route(FRR_NAME, OWN_BEHIND[1])
    for node in LAB.nodes.values():
        await_route(node.name, "default", family="-6")
    reached_from(FRR_NAME, family="-6")
    promise("upstream:ospf6:frr", "the same in IPv6 by OSPFv3 without a password")


# --- static routes and ARP -----------------------------------------------------------------------


def arp_is_answered_for_each_guest():
    for node in LAB.nodes.values():
        node.must("stop")
    for guest in LAB.guests:
        for address in addresses_of(guest):
            await_route("router", address, False)
    for guests, behind, via, router in zip((GUESTS, GUESTS6), OWN_BEHIND,
                                           addresses_of(LAB.guests[0]), (ROUTER, ROUTER6)):
        run("ip", "-n", "router", "route", "del", "unreachable", guests)
        # Before that of BIRD, which makes its own again when it next looks at the kernel.
        run("ip", "-n", "router", "route", "add", guests, "dev", "up0", "metric", "1")
        run("ip", "-n", "router", "route", "add", behind, "via", via)
        for node in LAB.nodes.values():
            run("ip", "-n", node.name, "route", "add", "default", "via", router)
    for said in ping_all("router", addresses_of(LAB.guests[0]), "-q", "-c", "1", "-W", "1"):
        assert answered(said) == 0, said
    for guest in LAB.guests:
        guest.node.must("ensure", guest.port(",uplink=up0"))
    reached_from("router")
    for guest in LAB.guests:
        assert guest.lost(BEYOND) == 0 and guest.lost(BEYOND6) == 0
    for node in LAB.nodes.values():
        shown = run("ip", "netns", "exec", node.name, "sysctl", "-n", "net.ipv4.conf.up0.proxy_arp")
        assert shown == "0\n", shown
    for said in ping_all("router", ("10.99.0.250", "2001:db8:99::fa"), "-c", "1", "-W", "1"):
        assert answered(said) == 0, said
    promise("upstream:static:announced", "0 of 20 pings lost from the router to each guest and "
            "from there to what is behind the router, in each family, nor to networks behind a "
            "guest; none answered before, nor for an address that no guest has; "
            "proxy_arp is 0 on the uplink")


def a_move_is_told_by_arp():
    promise_of_a_move("static", lambda guest: has_neighbours_at_its_node("router", guest),
                      told=",uplink=up0")


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
             a_move_is_told_by_bgp, a_core_hears_one_prefix_of_a_rack,
             ospf_tells_the_routers_of_each_guest, a_move_is_told_by_ospf,
             ospf_version_3_tells_frr_of_each_guest,
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
