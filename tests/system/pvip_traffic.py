"""What guests send and are sent, counted.

A part of pvip_test.py, behind the stories that gave the guests IPv6 addresses.
"""

import socket
import time

import pvip_lab
from frames import ARP, BROADCAST, IPV4, IPV6, NONE, arp, ethernet, ipv4, ipv6, udp
from harness import wait_until
from pvip_lab import BEYOND, BEYOND6, EACH, GATEWAY_MAC, await_drops, inside, plus, run

PINGS, DATA = 20, 100  # of so many bytes
RATE, BURST, SHOUT = 1_250_000, 65_536, 1  # bytes a second, bytes, seconds
LAB, promise = None, None


def grown(before, after):
    """{address: (packets sent, bytes, received, bytes)} since then, of what changed."""
    return {address: more for address, counts in after.items()
            if any(more := tuple(now - was for now, was in zip(
                counts, before.get(address, (0, 0, 0, 0)))))}


def ping(guest, address):
    run("ip", "netns", "exec", guest.name, "ping", "-n", "-q", "-i", "0.01", "-s", DATA, "-c",
        PINGS, address)


def packets_and_bytes_are_counted_by_address():
    guest, victim, _ = LAB.guests
    node = guest.node
    before, others = node.traffic(guest.link), node.traffic(victim.link)
    ping(guest, BEYOND)
    ping(guest, BEYOND6)
    packet, packet6 = 20 + 8 + DATA, 40 + 8 + DATA
    each = {guest.address: (PINGS, PINGS * packet) * 2,
            guest.address6: (PINGS, PINGS * packet6) * 2}
    assert grown(before, node.traffic(guest.link)) == each, (before, node.traffic(guest.link))
    assert not grown(others, node.traffic(victim.link))
    promise("count:addresses", f"{PINGS} pings of IPv4 and IPv6 each: packets and bytes of both "
            "directions exact, by address, none at its neighbour")


def what_dies_and_what_is_no_packet_is_not_counted():
    guest, victim, _ = LAB.guests
    before, dropped = guest.node.traffic(guest.link), guest.drops()
    for _ in range(EACH):
        for frame in (
                ethernet(guest.mac, GATEWAY_MAC, IPV4,
                         ipv4(victim.address, BEYOND, 17, udp(5000, 5001, b"stolen"))),
                ethernet(guest.mac, GATEWAY_MAC, IPV4,
                         ipv4(guest.address, "224.0.0.251", 17, udp(5000, 5001, b"shouted"))),
                ethernet(guest.mac, BROADCAST, ARP,
                         arp(1, guest.mac, guest.address, NONE, "10.99.0.200"))):
            guest.send(frame)
    await_drops(guest, plus(dropped, {"foreign_ipv4": EACH, "group": EACH}))
    assert not grown(before, guest.node.traffic(guest.link))
    promise("count:dropped", "what the filter drops, and ARP: not counted")


def counters_outlive_the_daemon_and_what_is_repaired():
    guest = LAB.guests[0]
    node = guest.node
    before = node.traffic(guest.link)
    node.kill()
    ping(guest, BEYOND)
    node.start()
    node.must("reconcile", *LAB.ports_of(node))
    node.nft("flush", "chain", "netdev", "orrery_vp", guest.link)
    node.nft("delete", "chain", "netdev", "orrery_vp", f"{guest.link}_out")
    said = node.must("reconcile", *LAB.ports_of(node))
    assert said[0] == "ok 0 1 0" and said[1].startswith(f"drift link {guest.link} "), said
    node.nft("insert", "rule", "netdev", "orrery_vp", "to_guest", "accept")
    said = node.must("reconcile", *LAB.ports_of(node))
    assert "drift the filter's shared rules were not ours" in said, said
    ping(guest, BEYOND)
    sent = (2 * PINGS, 2 * PINGS * (20 + 8 + DATA))
    more = grown(before, node.traffic(guest.link))
    assert more == {guest.address: sent * 2}, more
    promise("count:daemon-killed", "what was counted while it was dead is there, and what was "
            "before rules and chains were repaired")


def a_guest_has_more_addresses_and_networks_behind_it():
    guest, victim, far = LAB.guests
    node = guest.node
    more, networks = ("10.99.2.7", "2001:db8:99:2::7"), ("10.99.3.0/24", "2001:db8:97::/64")
    behind = ("10.99.3.9", "2001:db8:97::9")  # of machines that the guest routes for
    told = "".join(f",more={one}" for one in more) + "".join(f",prefix={one}" for one in networks)
    node.must("ensure", guest.port(told))
    for address, whose in zip((*more, *behind), (*more, *networks)):
        bits = 128 if ":" in address else 32
        guest.ip("address", "add", f"{address}/{bits}", "dev", "lo")
        via = (pvip_lab.NODES6 if ":" in address else pvip_lab.NODES)["a"]
        run("ip", "-n", "router", "route", "replace", whose, "via", via)
        before, dropped = node.traffic(guest.link), guest.drops()
        run("ip", "netns", "exec", "router", "ping", "-n", "-q", "-i", "0.01", "-c", PINGS,
            "-s", DATA, address)
        packet = (40 if ":" in address else 20) + 8 + DATA
        more_counted = grown(before, node.traffic(guest.link))
        assert more_counted == {whose: (PINGS, PINGS * packet) * 2}, more_counted
        assert without_requests(guest.drops()) == without_requests(dropped), guest.drops()
    promise("more:reached", f"0 of {PINGS} pings from the router lost to a second address of each "
            "family and to a network of each behind the guest; counted as theirs")
    before = without_requests(guest.drops())
    for _ in range(EACH):
        for source, kind, target, packet in (("10.99.4.9", IPV4, BEYOND, ipv4),
                                             ("2001:db8:96::9", IPV6, BEYOND6, ipv6)):
            guest.send(ethernet(guest.mac, GATEWAY_MAC, kind,
                                packet(source, target, 17, udp(5000, 5001, b"stolen"))))
    wanted = plus(before, {"foreign_ipv4": EACH, "foreign_ipv6": EACH})
    wait_until("thefts are counted", lambda: without_requests(guest.drops()) == wanted)
    node.must("ensure", guest.port())
    for _ in range(EACH):
        for source in (more[0], behind[0]):
            guest.send(ethernet(guest.mac, GATEWAY_MAC, IPV4, ipv4(
                source, BEYOND, 17, udp(5000, 5001, b"no longer"))))
    wanted = plus(wanted, {"foreign_ipv4": 2 * EACH})
    wait_until("thefts are counted", lambda: without_requests(guest.drops()) == wanted)
    assert guest.lost(far.address) == 0 and guest.lost(far.address6) == 0
    promise("more:foreign", "10 of 10 from beside the networks dropped and counted, and from them "
            "and the second address once they are no longer the guest's")


def a_limit_is_kept_in_both_directions():
    guest, _, far = LAB.guests
    node = guest.node
    node.must("ensure", guest.port(f",rate={RATE * 8}"))
    for name, sender, to, reason, column in (
            ("sent", guest.name, far.address, "too_fast", 1),
            ("received", far.name, guest.address, "too_fast_to_guest", 3)):
        # After a rest a second's passes at once: that first.
        shout(sender, to)
        wait_until("too much is dropped", lambda r=reason: guest.drops().get(r))
        before, dropped = node.traffic(guest.link), guest.drops()[reason]
        began = time.monotonic()
        shout(sender, to)
        wait_until("too much is dropped", lambda r=reason, d=dropped: guest.drops()[r] > d)

        def passed(was=before, at=column):
            return node.traffic(guest.link)[guest.address][at] - was[guest.address][at]

        # What waits in queues comes later: as long as that takes, so much more may pass.
        wait_until(f"half of what may be {name} passed", lambda: passed() > RATE * SHOUT / 2)
        most = passed()
        took = time.monotonic() - began
        assert most < RATE * took * 1.5 + BURST, (name, most, took)
    node.must("ensure", guest.port())
    assert guest.lost(far.address) == 0
    promise("limit", "10 Mbit/s shouted at with three times that and more: at least half of it and "
            "at most half as much again passes in each direction once a second's has, the rest is "
            "dropped and counted")


def shout(namespace, address):
    """For a second at least, and at least three times what may pass in it."""
    with inside(namespace):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    began = time.monotonic()
    sent = 0
    while time.monotonic() - began < SHOUT or sent < SHOUT * RATE * 3:
        sent += sender.sendto(bytes(1_400), (address, 5001))
    sender.close()


def without_requests(drops):
    return {reason: count for reason, count in drops.items() if reason != "ipv6_request"}


def stories(lab, tell):
    global LAB, promise
    LAB, promise = lab, tell
    return [(f"traffic_{one.__name__}", one) for one in (
        packets_and_bytes_are_counted_by_address, what_dies_and_what_is_no_packet_is_not_counted,
        counters_outlive_the_daemon_and_what_is_repaired,
        a_guest_has_more_addresses_and_networks_behind_it, a_limit_is_kept_in_both_directions)]
