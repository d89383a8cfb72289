"""IPv6 of guests that have an address of it.

A part of pvip_test.py. What a guest's kernel asks by itself (which groups it listens to) comes at
any time and is counted as `ipv6_request`, which is no offence and is left out here.
"""

import os
import socket
import struct
import subprocess

from frames import ethernet, fragment6, icmpv6, ipv6, options6, udp, IPV6
from harness import wait_until
from pvip_lab import (BEYOND6, EACH, FLOOD, GATEWAY, GATEWAY6, GATEWAY_MAC, Pings, control,
                      heard_by, plus, run)

ADDRESSES = ("2001:db8:99::11", "2001:db8:99::12", "2001:db8:99::13")
KINDS_OF_ATTACK_MIN = 40  # so that a list that lost its entries is noticed
LAB, promise = None, None


def offences(guest):
    return {reason: count for reason, count in guest.drops().items() if reason != "ipv6_request"}


def await_offences(guest, wanted):
    wait_until(f"{guest.link} counts {wanted}",
               lambda: sum(offences(guest).values()) >= sum(wanted.values()))
    assert offences(guest) == wanted, (guest.link, offences(guest), wanted)


def own_link_local(guest):
    """As its kernel makes it of its Ethernet address (RFC 4291, appendix A)."""
    mac = bytes.fromhex(guest.mac.replace(":", ""))
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex("fe80000000000000")
                            + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:])


def packed(address):
    return socket.inet_pton(socket.AF_INET6, address)


# --- reachability --------------------------------------------------------------------------------


def every_direction_is_reached():
    for guest, address in zip(LAB.guests, ADDRESSES):
        guest.take_ipv6(address)
    first, neighbour, far = LAB.guests
    for name, guest, address in (
            ("reach6:same-node", first, neighbour.address6),
            ("reach6:across-nodes", first, far.address6),
            ("reach6:across-nodes-back", far, first.address6),
            ("reach6:gateway", first, f"{GATEWAY6}%eth0"), ("reach6:upstream", first, BEYOND6)):
        assert guest.lost(address) == 0, name
        promise(name, "0 of 20 pings lost")
    for name, words in (("reach6:from-upstream", ()), ("reach6:in-fragments", ("-s", "4000"))):
        done = subprocess.run(["ip", "netns", "exec", "router", "ping", "-n", "-q", "-i", "0.01",
                               "-c", "20", *words, "-I", BEYOND6, far.address6],
                              capture_output=True, text=True, check=False)
        assert " 20 received" in done.stdout, done.stdout
        promise(name, "0 of 20 pings lost")


def honest_frames_pass_and_are_not_counted():
    guest = LAB.guests[0]
    own, local = guest.address6, own_link_local(guest)
    before = offences(guest)
    asked = guest.drops().get("ipv6_request", 0)
    nodes, gateways, routers = "ff02::1", "ff02::1:ff00:1", "ff02::2"
    said = bytes.fromhex("20000000")
    # Whether its addresses are free, where the gateway is, that the guest is here.
    for source, target, kind, body in (
            ("::", "ff02::1:ff00:11", 135, bytes(4) + packed(own)),
            ("::", "ff02::1:ff00:1", 135, bytes(4) + packed(local)),
            (own, gateways, 135, bytes(4) + packed(GATEWAY6)),
            (local, GATEWAY6, 135, bytes(4) + packed(GATEWAY6)),
            (own, nodes, 136, said + packed(own)), (local, nodes, 136, said + packed(own)),
            (local, GATEWAY6, 136, said + packed(local)),
            (local, GATEWAY6, 128, bytes(4)), (own, GATEWAY6, 128, bytes(4))):
        guest.send(ethernet(guest.mac, GATEWAY_MAC, IPV6, icmpv6(source, target, kind, body)))
    # Its address in the place of a target, in what is no neighbour discovery.
    guest.send(ethernet(guest.mac, GATEWAY_MAC, IPV6, ipv6(
        own, BEYOND6, 17, udp(5000, 5001, packed(own)))))
    assert guest.lost(f"{GATEWAY6}%eth0") == 0 and guest.lost(BEYOND6) == 0
    assert offences(guest) == before, (before, offences(guest))
    promise("honest6:neighbours", "own solicitations and advertisements: 0 counted")
    marker = b"where is everybody? " + os.urandom(8).hex().encode()
    neighbour = packed(LAB.guests[1].address6)
    questions = (icmpv6(local, routers, 133, bytes(4) + marker),
                 icmpv6("::", routers, 133, bytes(4) + marker),
                 ipv6(local, "ff02::1:2", 17, udp(546, 547, b"\x01" + marker)),
                 icmpv6(own, "ff02::1:ff00:12", 135, bytes(4) + neighbour + marker),
                 icmpv6(local, "ff02::1:ff00:12", 135, bytes(4) + neighbour + marker),
                 icmpv6(own, LAB.guests[1].address6, 135, bytes(4) + neighbour + marker))
    listeners = LAB.listeners(guest)
    for packet in questions:
        guest.send(ethernet(guest.mac, "33:33:00:00:00:02", IPV6, packet))
    wait_until("questions are counted",
               lambda: guest.drops().get("ipv6_request", 0) >= asked + len(questions))
    control(guest, listeners, b"honest, after questions")
    assert not heard_by(listeners, marker), heard_by(listeners, marker)
    assert offences(guest) == before, (before, offences(guest))
    promise("honest6:questions", "for routers, DHCPv6 servers and neighbours: counted as "
            "ipv6_request alone, heard by nobody else")


# --- attacks -------------------------------------------------------------------------------------


def attacks(guest, victim, marker):
    """(name, frames, {reason: count}) of each kind; every frame holds the marker."""
    own, local, theirs = guest.address6, own_link_local(guest), victim.address6
    nodes, servers = "ff02::1", "ff02::1:2"
    datagram = udp(5000, 5001, marker)

    def frame(packet, source=guest.mac, target=GATEWAY_MAC):
        return ethernet(source, target, IPV6, packet)

    def to_all(packet):
        return frame(packet, target="33:33:00:00:00:01")

    def from_(source, target=theirs):
        return frame(ipv6(source, target, 17, datagram))

    def neighbour(kind, source, subject, target=nodes):
        return to_all(icmpv6(source, target, kind, bytes(4) + packed(subject) + marker))

    def router(source, target=nodes):
        return icmpv6(source, target, 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0) + marker)

    def part_of(packet):
        return packet[40:]

    def behind_options(packet, source=local, target=nodes, next_header=58):
        return to_all(ipv6(source, target, 60, options6(next_header, part_of(packet))))

    def one(name, what, reason):
        return name, [what], {reason: 1}

    advertised = router(local)
    adverts_victim = icmpv6(local, nodes, 136, bytes(4) + packed(theirs) + marker)
    answer = ipv6(local, servers, 17, udp(547, 546, b"\x02\0\0\7" + marker))
    redirects = icmpv6(local, nodes, 137, bytes(4) + packed(theirs) * 2 + marker)
    yield from (
        one("foreign-ipv6", from_(theirs, BEYOND6), "foreign_ipv6"),
        one("foreign-ipv6-outside", from_("2001:db8::bad"), "foreign_ipv6"),
        one("foreign-ipv6-of-this-host", from_("::1"), "foreign_ipv6"),
        one("foreign-ipv6-of-ipv4", from_("::ffff:10.99.0.12"), "foreign_ipv6"),
        one("foreign-ipv6-of-nobody", from_("::"), "foreign_ipv6"),
        one("foreign-ipv6-of-a-group", from_("ff02::1"), "foreign_ipv6"),
        one("gateway-ipv6-as-source", from_(GATEWAY6), "foreign_ipv6"),
        one("foreign-ipv6-behind-options",
            frame(ipv6(theirs, BEYOND6, 60, options6(17, datagram))), "foreign_ipv6"),
        ("foreign-ipv6-in-fragments",
         [frame(ipv6(theirs, BEYOND6, 44, fragment6(17, datagram, more=True))),
          frame(ipv6(theirs, BEYOND6, 44, fragment6(17, datagram, offset=5)))],
         {"foreign_ipv6": 2}),
        one("ipv6-from-a-foreign-mac",
            frame(ipv6(own, theirs, 17, datagram), source="02:00:00:00:00:99"), "foreign_mac"),
        one("ipv6-from-the-neighbours-mac",
            frame(ipv6(theirs, BEYOND6, 17, datagram), source=victim.mac), "foreign_mac"),
        one("link-local-to-a-neighbour", from_(local), "link_local"),
        one("link-local-to-upstream", from_(local, BEYOND6), "link_local"),
        one("link-local-to-the-node", from_(local, GATEWAY6), "link_local"),
        one("ipv6-to-another-on-the-link", from_(own, "fe80::99"), "link_local"),
        one("router-advertisement", to_all(advertised), "router_advertisement"),
        one("router-advertisement-as-the-gateway", to_all(router(GATEWAY6)),
            "router_advertisement"),
        one("router-advertisement-from-a-global-address", to_all(router(own)),
            "router_advertisement"),
        one("router-advertisement-to-one", frame(router(own, theirs)), "router_advertisement"),
        one("router-advertisement-behind-options", behind_options(advertised), "ipv6_hidden"),
        one("router-advertisement-behind-hop-by-hop", to_all(
            ipv6(local, nodes, 0, options6(58, part_of(advertised)))), "ipv6_hidden"),
        one("router-advertisement-behind-many", to_all(ipv6(local, nodes, 0, options6(
            60, options6(60, options6(58, part_of(advertised)))))), "ipv6_hidden"),
        one("router-advertisement-in-a-fragment", to_all(
            ipv6(local, nodes, 44, fragment6(58, part_of(advertised)))), "ipv6_hidden"),
        ("router-advertisement-in-fragments",
         [to_all(ipv6(local, nodes, 44, fragment6(58, part_of(advertised)[:48], more=True))),
          to_all(ipv6(local, nodes, 44, fragment6(58, marker, 6)))],
         {"ipv6_hidden": 1, "ipv6_group": 1}),
        # The first piece ends before one can see what it is (RFC 7112).
        one("router-advertisement-in-a-tiny-fragment", to_all(ipv6(
            local, nodes, 44, fragment6(60, b"\x3a\x09" + marker, more=True))), "ipv6_hidden"),
        one("router-advertisement-in-two-fragment-headers", to_all(ipv6(local, nodes, 44, fragment6(
            44, fragment6(58, part_of(advertised), 1, number=8)))), "ipv6_hidden"),
        one("router-advertisement-in-two-fragment-headers-apart", to_all(ipv6(
            local, nodes, 44, fragment6(60, options6(44, fragment6(
                58, part_of(advertised), 1, number=8))))), "ipv6_hidden"),
        one("redirect", to_all(redirects), "redirect"),
        one("redirect-to-one", frame(icmpv6(
            own, theirs, 137, bytes(4) + packed(theirs) * 2 + marker)), "redirect"),
        one("redirect-behind-options", behind_options(redirects), "ipv6_hidden"),
        one("neighbour-advertisement", neighbour(136, own, theirs), "foreign_ndp"),
        one("neighbour-advertisement-link-local", to_all(adverts_victim), "foreign_ndp"),
        one("neighbour-advertisement-for-the-gateway", neighbour(136, local, GATEWAY6),
            "foreign_ndp"),
        one("neighbour-advertisement-from-the-victim", neighbour(136, theirs, own), "foreign_ipv6"),
        one("neighbour-advertisement-as-the-gateway", neighbour(136, GATEWAY6, own),
            "foreign_ipv6"),
        one("neighbour-advertisement-from-nobody", neighbour(136, "::", own), "foreign_ipv6"),
        one("neighbour-advertisement-to-one", neighbour(136, own, own, theirs), "foreign_ndp"),
        one("neighbour-advertisement-behind-options", behind_options(adverts_victim),
            "ipv6_hidden"),
        one("own-advertisement-behind-options", behind_options(
            icmpv6(own, nodes, 136, bytes(4) + packed(own) + marker), own), "ipv6_hidden"),
        one("neighbour-solicitation-whether-it-is-free", neighbour(135, "::", theirs),
            "foreign_ndp"),
        one("neighbour-solicitation-from-the-victim", neighbour(135, theirs, GATEWAY6),
            "foreign_ipv6"),
        one("neighbour-solicitation-from-a-foreign-mac", frame(
            icmpv6(own, nodes, 135, bytes(4) + packed(own) + marker), source=victim.mac),
            "foreign_mac"),
        one("neighbour-solicitation-in-a-fragment", to_all(ipv6(local, nodes, 44, fragment6(
            58, part_of(neighbour(135, local, theirs)[14:])))), "ipv6_hidden"),
        one("dhcpv6-server-answer", to_all(answer), "dhcpv6_server"),
        one("dhcpv6-server-answer-to-one",
            frame(ipv6(own, theirs, 17, udp(547, 546, b"\x02" + marker))), "dhcpv6_server"),
        one("dhcpv6-server-answer-from-another-port",
            frame(ipv6(own, theirs, 17, udp(5000, 546, b"\x02" + marker))), "dhcpv6_server"),
        one("dhcpv6-server-answer-behind-options",
            behind_options(answer, target=servers, next_header=17), "ipv6_hidden"),
        ("dhcpv6-server-answer-in-fragments",
         [to_all(ipv6(local, servers, 44, fragment6(17, part_of(answer)[:40], more=True))),
          to_all(ipv6(local, servers, 44, fragment6(17, marker, 5)))],
         {"ipv6_hidden": 1, "ipv6_group": 1}),
        one("ipv6-multicast", to_all(ipv6(own, "ff02::fb", 17, datagram)), "ipv6_group"),
        one("ipv6-multicast-link-local", to_all(ipv6(local, "ff02::fb", 17, datagram)),
            "ipv6_group"),
        one("ipv6-multicast-far", to_all(ipv6(own, "ff0e::99", 17, datagram)), "ipv6_group"),
        one("ipv6-multicast-in-a-frame-to-us", from_(own, "ff02::1"), "ipv6_group"),
        one("ipv6-to-one-in-a-frame-to-many", to_all(ipv6(own, theirs, 17, datagram)),
            "ipv6_group"),
        one("ipv6-echo-to-all-nodes", to_all(icmpv6(own, nodes, 128, bytes(4) + marker)),
            "ipv6_group"),
    )


def every_attack_dies_counted_and_unheard():
    guest, victim, _ = LAB.guests
    listeners = LAB.listeners(guest)
    marker = b"what a thief says: " + os.urandom(8).hex().encode()
    count = 0
    for name, frames, reasons in attacks(guest, victim, marker):
        before = offences(guest)
        for _ in range(EACH):
            for frame in frames:
                assert marker[:20] in frame, name
                guest.send(frame)
        await_offences(guest, plus(before, {reason: EACH * n for reason, n in reasons.items()}))
        control(guest, listeners, b"honest " + name.encode())
        assert not heard_by(listeners, marker[:20]), (name, heard_by(listeners, marker[:20]))
        sent = EACH * len(frames)
        promise(f"attack6:{name}", f"{sent} of {sent} dropped, counted as "
                + " and ".join(sorted(reasons)) + ", heard by nobody")
        count += 1
    assert count >= KINDS_OF_ATTACK_MIN, count
    assert victim.lost(f"{GATEWAY6}%eth0") == 0 and guest.lost(victim.address6) == 0


def floods_are_heard_by_nobody():
    guest = LAB.guests[0]
    listeners = LAB.listeners(guest)
    marker, local = b"what many hear?", own_link_local(guest)
    for name, reason, packet in (
            ("multicast", "ipv6_group",
             ipv6(guest.address6, "ff02::fb", 17, udp(5000, 5001, marker))),
            ("neighbour-solicitation", None,
             icmpv6(local, "ff02::1:ff00:1", 135, bytes(4) + packed(GATEWAY6) + marker))):
        before = offences(guest)
        frame = ethernet(guest.mac, "33:33:00:00:00:01", IPV6, packet)
        for _ in range(FLOOD):
            guest.send(frame)
        await_offences(guest, plus(before, {reason: FLOOD} if reason else {}))
        control(guest, listeners, b"honest " + name.encode())
        assert not heard_by(listeners, marker), name
        counted = f"counted as {reason}" if reason else "for the node"
        promise(f"attack6:{name}-flood", f"{FLOOD} frames, {counted}, heard by nobody")


# --- what goes wrong -----------------------------------------------------------------------------


def steal(guest, victim):
    before = offences(guest)
    for _ in range(EACH):
        guest.send(ethernet(guest.mac, GATEWAY_MAC, IPV6,
                            ipv6(victim.address6, BEYOND6, 17, udp(5000, 5001, b"stolen"))))
    await_offences(guest, plus(before, {"foreign_ipv6": EACH}))


def what_was_taken_away_is_said_and_made_again():
    guest, victim, far = LAB.guests
    node = guest.node
    with Pings(victim, far.address6) as pings:
        for words, said in (
                (("address", "delete", f"{GATEWAY6}/64", "dev", guest.link),
                 f"gateway {GATEWAY6} on {guest.link} was missing"),
                (("route", "delete", f"{guest.address6}/128"),
                 f"route {guest.address6}/128 to {guest.link} was missing"),
                (("neighbour", "delete", guest.address6, "dev", guest.link),
                 f"neighbour {guest.address6} on {guest.link} was missing")):
            run("ip", "-n", node.name, "-6", *words)
            answer = node.must("reconcile", *LAB.ports_of(node))
            assert answer[1:] == [f"drift {said}"], answer
            assert guest.lost(far.address6) == 0
        assert pings.lost() == 0
    steal(guest, victim)
    promise("drift6", "said, made again, 0 of 20 pings lost then; 0 pings of its neighbour lost")


def an_address_that_a_guest_lost_is_foreign_at_once():
    guest, victim, far = LAB.guests
    address = guest.address6

    def say(reason):
        before = offences(guest)
        for packet in (ipv6(address, BEYOND6, 17, udp(5000, 5001, b"no longer")),
                       icmpv6(own_link_local(guest), "ff02::1", 136, bytes(4) + packed(address))):
            guest.send(ethernet(guest.mac, GATEWAY_MAC, IPV6, packet))
        await_offences(guest, plus(before, reason))

    with Pings(victim, far.address6) as pings:
        guest.node.must("ensure", guest.port().replace(address, "2001:db8:99::77"))
        say({"foreign_ipv6": 1, "foreign_ndp": 1})
        guest.node.must("ensure", f"{guest.link},{guest.mac},{guest.address},{GATEWAY}")
        say({"ipv6": 2})
        guest.node.must("ensure", guest.port())
        assert guest.lost(far.address6) == 0
        assert pings.lost() == 0
    promise("change6:one-port", "an address that a guest lost is foreign at once, and all of IPv6 "
            "when it has none; 0 pings of its neighbour lost")


def stories(lab, tell):
    global LAB, promise
    LAB, promise = lab, tell
    return [(f"ipv6_{one.__name__}", one) for one in (
        every_direction_is_reached, honest_frames_pass_and_are_not_counted,
        every_attack_dies_counted_and_unheard, floods_are_heard_by_nobody,
        what_was_taken_away_is_said_and_made_again,
        an_address_that_a_guest_lost_is_foreign_at_once)]
