"""Two real guests with unmodified clients, one of which moves to the other node and back while it
runs: QEMU, on two nodes that tell a router of their guests by BGP. Needs root.

Prints "PROMISE <id> pass <figure>" for each; docs/networking.md has the same table, which
`pvip_migration_test.py --write-table` writes and a run judges. Figures that vary from run to run
are told as bounds there, and as they were in a "FIGURE" line. Standard library only.
"""

import collections
import os
import shutil
import sys
import tempfile

import pvip_lab
import upstream_lab
from harness import ROOT, run_tests
from promises import Promises
from pvip_lab import BEYOND, GATEWAY, ROUTER, ROUTER6, Pings, lost_from
from pvip_move import has_routes_by_its_node, move
from pvip_qemu import GuestPings, RealGuest, guest_image, lab_image
from upstream_lab import await_established, await_route, speak_bgp

PROMISES = Promises(ROOT / "docs" / "networking.md", "promises of migration")
promise = PROMISES.show
IMAGES = ROOT / "build" / "guest-images"
TOLD = ",mtu=1400,dns=10.99.0.53,dns6=2001:db8:53::1"
LOST_MAX = 50  # pings of 10 ms; far above what is seen, for machines that are busy
# The last thing that udhcpc's script sets.
AWAIT_NAME_SERVER = "until grep -q nameserver /etc/resolv.conf; do sleep 0.1; done"
HONEST = {"dhcp_request", "ipv6_request"}  # counted, and no offence
LAB, GUESTS = None, []

Namespace = collections.namedtuple("Namespace", "name")


def figure(name, what):
    print(f"FIGURE {name} {what}", flush=True)


def expect_ipv4(guest):
    shown = guest.say("ip -4 address show dev eth0; ip -4 route; cat /etc/resolv.conf; "
                      "cat /sys/class/net/eth0/mtu")
    for words in (f"inet {guest.address}/24", f"default via {GATEWAY}", "nameserver 10.99.0.53",
                  "\n1400"):
        assert words in shown, (words, shown)


def expect_ipv6(guest):
    shown = guest.say("ip -6 address show dev eth0; ip -6 route; cat /etc/resolv.conf")
    for words in (f"inet6 {guest.address6}/128", f"default via {pvip_lab.GATEWAY6}",
                  "nameserver 2001:db8:53::1"):
        assert words in shown, (words, shown)


def both(command):
    """At the same time, in each guest; both must do it."""
    for guest in GUESTS:
        guest.begin(command)
    for guest in GUESTS:
        status, said = guest.ended()
        assert status == 0, (guest.name, command, status, said)


def unmodified_clients_have_their_leases():
    first, second = GUESTS
    for guest in GUESTS:
        guest.await_boot()
    second.begin("dhclient -4 -1 eth0")
    first.say("udhcpc -i eth0 -f >/tmp/udhcpc 2>&1 &")
    first.say(AWAIT_NAME_SERVER)
    assert second.ended()[0] == 0
    for guest in GUESTS:
        expect_ipv4(guest)
    promise("guest:udhcpc", "a Linux in QEMU has address, mask, route, MTU and DNS by busybox's "
            "client and Debian's script")
    promise("guest:dhclient", "another by ISC's")
    both("until ip -6 route show default | grep -q fe80::1; do sleep 0.1; done; "
         "dhclient -6 -1 eth0; while ip -6 address show | grep -q tentative; do sleep 0.1; done")
    for guest in GUESTS:
        expect_ipv6(guest)
    promise("guest:ipv6", "both have their route from the node, their address and DNS by dhclient")


def they_reach_each_other():
    first, second = GUESTS
    for node in LAB.nodes.values():
        await_established(node, ROUTER, ROUTER6)
    for guest in GUESTS:
        for address in (guest.address, guest.address6):
            await_route("router", address)
    for guest, other in ((first, second), (second, first)):
        for address in (other.address, other.address6):
            await_route(guest.node.name, address)
    for guest, other in ((first, second), (second, first)):
        for address in (other.address, BEYOND, GATEWAY, other.address6, pvip_lab.BEYOND6):
            assert guest.lost(address) == 0, (guest.name, address)
        lost = lost_from("router", (guest.address, guest.address6))
        assert not any(lost), (guest.name, lost)
    promise("guest:reach", "0 of 20 pings lost between guests on two nodes, from each to gateway "
            "and router, and from the router; IPv6 too")


def a_guest_moves_while_it_runs():
    mover, other = GUESTS
    with GuestPings(other, mover.address) as of_guest, \
            Pings(Namespace("router"), mover.address) as of_router:
        for way in ("there", "back"):
            before = of_guest.lost(), of_router.lost()
            new = next(one for one in LAB.nodes.values() if one is not mover.node)
            move(mover, new, lambda: has_routes_by_its_node("router", mover))
            lost = of_guest.lost() - before[0], of_router.lost() - before[1]
            figure(f"guest:migration:{way}", f"{lost[0]} pings of 10 ms lost from the other guest, "
                   f"{lost[1]} from the router")
            assert max(lost) <= LOST_MAX, lost
    promise("guest:migration", f"fewer than {LOST_MAX} pings of 10 ms lost from the other guest "
            "and from the router, to the other node and back, by QEMU's migration and BGP")


def it_is_whole_where_it_went():
    mover, other = GUESTS
    mover.say(": >/etc/resolv.conf; kill -USR1 $(pidof udhcpc)")
    mover.say(AWAIT_NAME_SERVER)
    expect_ipv4(mover)
    for address in (other.address, BEYOND, other.address6):
        assert mover.lost(address) == 0, address
    for guest in GUESTS:
        counted = guest.node.drops(guest.link)
        assert set(counted) <= HONEST, (guest.name, counted)
    promise("guest:after", "lease renewed, 0 of 20 pings lost, no offence counted, QEMU's own RARP "
            "included")


def the_document_has_these_promises():
    PROMISES.judge_the_document()


def begin(image):
    """A guest on each node begins to boot, and the nodes to speak with the router."""
    LAB.start_bird()
    files = image / "vmlinuz", lab_image(image, LAB.folder)
    for number, node in enumerate(LAB.nodes.values(), 1):
        GUESTS.append(RealGuest(LAB, files, number, node, TOLD))
        speak_bgp(node, routers=(ROUTER, ROUTER6))


def main():
    global LAB
    image = guest_image(IMAGES)  # fetches packages: before there is no way to anywhere
    pvip_lab.enter()
    folder = tempfile.mkdtemp(prefix="orrery-migration-")
    os.chmod(folder, 0o755)  # BIRD is nobody in particular
    LAB = upstream_lab.UpstreamLab(folder)
    tests = [unmodified_clients_have_their_leases, they_reach_each_other,
             a_guest_moves_while_it_runs, it_is_whole_where_it_went,
             the_document_has_these_promises]
    try:
        begin(image)
        status = run_tests(tests)
    finally:
        for guest in GUESTS:
            guest.end()
        LAB.end()
    shutil.rmtree(folder)
    return status


if __name__ == "__main__":
    sys.exit(main())
