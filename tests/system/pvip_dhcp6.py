"""What guests are told of IPv6 (who routes it, and by DHCP), judged by Linux as a guest and by
clients as their makers ship them.

A part of pvip_test.py.
"""

import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time

from frames import IPV6, TAGGED, checksum, ethernet, icmpv6, ipv6, udp6
from harness import wait_until
from pvip_dhcp import (A_SECOND, AT_ONCE, BURST, FLOOD_MIN, LEASES, RESOLVER, own_etc, restart,
                       within)
from pvip_lab import GATEWAY_MAC, Listener, inside, packed, run

GATEWAY6, ROUTERS, SERVERS6 = "fe80::1", "ff02::2", "ff02::1:2"
ALL_ROUTERS_MAC, ALL_SERVERS_MAC = "33:33:00:00:00:02", "33:33:00:01:00:02"
TOLD = ",mtu=1400,dns6=2001:db8:53::1,dns6=2001:db8:53::2"
SERVERS = ["2001:db8:53::1", "2001:db8:53::2"]
DHCPCD_STATE = ("/var/lib/dhcpcd", "/run/dhcpcd")
RENEWAL = 43_200  # seconds, of every new lease
STRANGER = "2001:db8:1::99"
ROUTER_SOLICITATION = 133
TUNSETOFFLOAD, TUN_F_CSUM = 0x400454D0, 1
SOLICIT, RENEW, RELAY_FORWARD = 1, 5, 12
LAB, promise = None, None


def address_of(guest):
    """Of IPv6, beside its IPv4 address."""
    return "2001:db8:1::" + guest.address.rsplit(".", 1)[1]


def link_local_of(guest):
    """As Linux makes it of the Ethernet address."""
    return f"fe80::800:ff:fe00:{packed(guest.mac)[5]:x}"


def told_of(guest, told=TOLD):
    return f"{told},ip6={address_of(guest)}"


def enable(guest, at_once=True):
    """The guest begins with IPv6, knows nothing, and its port tells all. At once: it asks for
    routers without waiting for others, and does not ask whether its addresses are free."""
    own_etc()
    RESOLVER.write_text("", encoding="utf-8")
    guest.node.must("ensure", guest.port(told_of(guest)))
    guest.ip("link", "set", "eth0", "mtu", "1500")
    seconds = 0 if at_once else 1
    guest.sysctl("net.ipv6.conf.all.disable_ipv6=1",
                 f"net.ipv6.conf.eth0.dad_transmits={seconds}",
                 f"net.ipv6.conf.eth0.router_solicitation_delay={seconds}")
    guest.sysctl("net.ipv6.conf.all.disable_ipv6=0")


def disable(guest):
    """As the guest was before, and its port."""
    guest.sysctl("net.ipv6.conf.all.disable_ipv6=1")
    guest.ip("link", "set", "eth0", "mtu", "1500")
    guest.node.must("ensure", guest.port())


def addresses(guest):
    shown = json.loads(guest.ip("-j", "-6", "address", "show", "dev", "eth0", "scope", "global"))
    return [f"{one['local']}/{one['prefixlen']}" for each in shown
            for one in each.get("addr_info", []) if one]  # {} for those of another scope


def has_link_local(guest):
    """And it is no longer asked whether it is free."""
    shown = guest.ip("-6", "address", "show", "dev", "eth0", "scope", "link")
    return link_local_of(guest) in shown and "tentative" not in shown


def default_routes(guest):
    return json.loads(guest.ip("-j", "-6", "route", "show", "default"))


def mtu_of(guest):
    """Of IPv6 on its link, by the kernel's word."""
    shown = run("ip", "netns", "exec", guest.name, "cat", "/proc/sys/net/ipv6/conf/eth0/mtu")
    return int(shown)


def name_servers():
    return [line.split()[1] for line in RESOLVER.read_text(encoding="utf-8").splitlines()
            if line.startswith("nameserver")]


def await_route(guest):
    wait_until(f"{guest.name} has a default route", lambda: default_routes(guest))
    routes = default_routes(guest)
    assert [one["gateway"] for one in routes] == [GATEWAY6], routes
    return routes[0]


def has_all(guest):
    return (addresses(guest) == [f"{address_of(guest)}/128"] and name_servers() == SERVERS
            and [one["gateway"] for one in default_routes(guest)] == [GATEWAY6])


def lease_of(address, hours):
    """What dhclient remembers of a lease that old."""
    began = int(time.time()) - hours * 3600
    return f"""lease6 {{ interface "eth0";
      ia-na 00:00:00:01 {{ starts {began}; renew 43200; rebind 518400;
        iaaddr {address} {{ starts {began}; preferred-life 604800; max-life 604800; }} }}
      option dhcp6.client-id 0:3:0:1:a:0:0:0:0:1;
      option dhcp6.server-id 0:3:0:1:e:0:0:0:0:1; }}\n"""


def is_renewed(said):
    """Whether dhclient's last lease is a new one: it counts from the second in which that began, so
    a busy machine takes some of the time to the next renewal. An old lease is due long since."""
    times = [int(one) for one in re.findall(r"Renewal event scheduled in (-?\d+) seconds", said)]
    return bool(times) and RENEWAL - 3600 < times[-1] <= RENEWAL


def dhclient6(guest, known_lease=""):
    """Until it has a new lease and its script has run; then it is ended. What it wrote, and
    said."""
    leases = LEASES / "dhclient6.leases"
    leases.write_text(known_lease, encoding="utf-8")
    wait_until("a link-local address", lambda: has_link_local(guest))
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            within(guest, "dhclient", "-6", "-1", "-d", "-v", "-lf", str(leases), "-pf",
                   str(LEASES / "dhclient6.pid"), "eth0"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)

        def told():
            said.seek(0)
            return said.read()
        try:
            wait_until("dhclient has a new lease",
                       lambda: is_renewed(told()) and has_all(guest))
        finally:
            process.kill()
            process.wait()
        return leases.read_text(encoding="utf-8"), told()


def move(guest, node):
    guest.unplug()
    guest.node.must("remove", guest.link)
    guest.node = node
    node.must("ensure", guest.port(told_of(guest)))
    guest.plug()
    LAB.announce(guest.address, node)


# --- what guests are told ------------------------------------------------------------------------


def linux_is_told_who_routes():
    guest = LAB.guests[0]
    restart(guest.node)
    enable(guest, at_once=False)
    route = await_route(guest)
    assert route["protocol"] == "ra" and 65_000 < route["expires"] <= 65_535, route
    assert mtu_of(guest) == 1400 and not addresses(guest)
    links = json.loads(guest.ip("-j", "-6", "route", "show", "dev", "eth0"))
    assert {one["dst"] for one in links} == {"default", "fe80::/64"}, links
    promise("router:linux", "default route by fe80::1 for 65535 s, MTU; no address and no prefix")
    asked = guest.node.counts("router", guest.link)
    guest.node.must("ensure", guest.port(told_of(guest, TOLD.replace("1400", "1300"))))
    wait_until("the guest hears of a change", lambda: mtu_of(guest) == 1300)
    assert guest.node.counts("router", guest.link) == asked
    disable(guest)
    promise("router:changed", "told unasked when its port changes")


def has_whole_checksum(frame):
    """Of UDP in IPv6, computed to its end."""
    total = struct.pack("!II", len(frame) - 54, 17) + frame[22:]
    return checksum(total) == 0


def dhclient_has_the_ipv6_address():
    guest = LAB.guests[0]
    # As QEMU offers it: the guest leaves checksums to its card, which passes them on as they are.
    fcntl.ioctl(guest.own_end, TUNSETOFFLOAD, TUN_F_CSUM)
    heard = Listener("the node", guest.node.name, guest.link)
    enable(guest)
    await_route(guest)
    written, said = dhclient6(guest)
    for line in (f"iaaddr {address_of(guest)} {{", "renew 43200;", "rebind 518400;",
                 "preferred-life 604800;", "max-life 604800;",
                 "option dhcp6.server-id 0:3:0:1:e:0:0:0:0:1;"):
        assert line in written, written
    assert "Advertisement immediately selected" in said, said
    assert mtu_of(guest) == 1400
    heard.heard(b"")
    asked = [frame for frame in heard.frames if frame[12:14] == b"\x86\xdd" and frame[20] == 17]
    assert len(asked) == 2 and not any(map(has_whole_checksum, asked)), asked
    fcntl.ioctl(guest.own_end, TUNSETOFFLOAD, 0)
    disable(guest)
    promise("dhcp6:dhclient", "address and DNS set by its script, beside the kernel's route, with "
            "checksums left to a virtual card")


def dhcpcd_has_all_of_it():
    guest = LAB.guests[0]
    restart(guest.node)
    for folder in DHCPCD_STATE:
        os.makedirs(folder, exist_ok=True)
        run("mount", "-t", "tmpfs", "none", folder)
    enable(guest)
    process = subprocess.Popen(within(guest, "dhcpcd", "-6", "-B", "eth0"),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        # Its script names what it knows the name servers from.
        wait_until("dhcpcd is bound", lambda: has_all(guest) and "eth0.dhcp6, eth0.ra" in
                   RESOLVER.read_text(encoding="utf-8"))
        assert guest.node.counts("dhcp6", guest.link) == {"acknowledged": 1}
    finally:
        # Asked to end, on a busy machine one in ten says that it has exited and does not (9.4.1).
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        run("umount", "--lazy", *DHCPCD_STATE)
        disable(guest)
        # It did both itself, and leaves it so.
        guest.sysctl("net.ipv6.conf.eth0.accept_ra=1", "net.ipv6.conf.eth0.addr_gen_mode=0")
    promise("dhcp6:dhcpcd", "address by one exchange, route and DNS set by it and its script")


def an_old_ipv6_address_is_not_confirmed():
    guest = LAB.guests[0]
    enable(guest)
    await_route(guest)
    _, said = dhclient6(guest, lease_of(STRANGER, 0))
    assert "Confirm on eth0" in said and "NotOnLink" in said and "Solicit on eth0" in said, said
    disable(guest)
    promise("dhcp6:old-address", "refused at once; dhclient asks again and has its own")


def the_other_node_answers_a_renewal_of_ipv6():
    guest, home, other = LAB.guests[0], LAB.guests[0].node, LAB.nodes["b"]
    enable(guest)
    await_route(guest)
    for node, hours, asks in ((home, 13, "Renew"), (other, 13, "Renew"), (other, 150, "Rebind"),
                              (home, 13, "Renew")):
        if node is not guest.node:
            move(guest, node)
        _, said = dhclient6(guest, lease_of(address_of(guest), hours))
        assert f"{asks} on eth0" in said and "Solicit" not in said, said
        counted = node.counts("dhcp6", guest.link)
        assert node is home or counted.keys() == {"acknowledged"}, counted
    disable(guest)
    promise("dhcp6:renewal", "an old lease of dhclient is confirmed, then renewed by the node, "
            "renewed and rebound by the other node after a move, renewed after the way back")


def a_guest_with_a_prefix_finds_its_neighbours_behind_the_gateway():
    guest = LAB.guests[0]
    restart(guest.node)
    enable(guest, at_once=False)
    await_route(guest)
    guest.ip("address", "add", f"{address_of(guest)}/64", "dev", "eth0")
    wait_until("its own address is free", lambda: "tentative" not in guest.ip(
        "-6", "address", "show", "dev", "eth0"))
    assert "dadfailed" not in guest.ip("-6", "address", "show", "dev", "eth0")
    with inside(guest.name), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"who are you?", (STRANGER, 5001))

    def found():
        shown = json.loads(guest.ip("-j", "-6", "neighbour", "show", STRANGER, "dev", "eth0"))
        return [(one["lladdr"], "router" in one) for one in shown if "lladdr" in one]
    wait_until("the neighbour is found", found)
    assert found() == [(GATEWAY_MAC, True)], found()
    counted = guest.node.counts("neighbour", guest.link)
    assert counted.keys() == {"answered", "nothing_due"}, counted
    disable(guest)
    promise("neighbour:prefix", "a neighbour of the guest's /64 has the gateway's Ethernet "
            "address; its own address is free")


# --- for whom ------------------------------------------------------------------------------------


def option(number, value):
    return number.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def solicit(guest, marker, kind=SOLICIT, more=b""):
    """A question of DHCPv6 for an address."""
    name = b"\0\3\0\1" + packed(guest.mac) + marker
    return bytes((kind, 0, 0, 1)) + option(1, name) + more + option(3, b"\0\0\0\1" + bytes(8))


def questions_of_others(guest, victim, marker):
    """(service, frame, outcome; None: not even looked at) that nobody answers."""
    own, other = link_local_of(guest), link_local_of(victim)

    def asks(data=None, source=guest.mac, address=own, to=SERVERS6, **more):
        return ethernet(source, ALL_SERVERS_MAC, IPV6, udp6(
            address, to, 546, 547, data or solicit(guest, marker), **more))

    def routers(source=guest.mac, address=own, to=ROUTERS, options=b"", **more):
        return ethernet(source, ALL_ROUTERS_MAC, IPV6, icmpv6(
            address, to, ROUTER_SOLICITATION, bytes(4) + options, **more))

    another_server = option(2, b"\0\3\0\1" + packed(victim.mac))
    return (
        ("dhcp6", asks(source=victim.mac), "foreign"),
        ("dhcp6", asks(source=victim.mac, address=other), "foreign"),
        ("dhcp6", asks(address=GATEWAY6), "foreign"),
        ("dhcp6", asks(address=address_of(victim)), "foreign"),
        ("dhcp6", asks(address="::"), "foreign"),
        ("dhcp6", asks(to=other), "other_server"),
        ("dhcp6", asks(solicit(guest, marker, RENEW, another_server)), "other_server"),
        ("dhcp6", asks(bytes((RELAY_FORWARD, 0)) + bytes(32) + marker), "relayed"),
        ("dhcp6", asks(solicit(guest, marker) + b"\0\3\xff\xff"), "malformed"),
        ("dhcp6", asks(off_by=1), "malformed"),
        ("router", routers(source=victim.mac), "foreign"),
        ("router", routers(source=victim.mac, address=other), "foreign"),
        ("router", routers(address=address_of(victim)), "foreign"),
        ("router", routers(address=GATEWAY6), "foreign"),
        ("router", routers(options=b"\1\1" + packed(victim.mac)), "foreign"),
        ("router", routers(to=other), "other_server"),
        ("router", routers(hop_limit=64), "malformed"),
        ("router", routers(options=b"\1\0" + packed(guest.mac)), "malformed"),
        ("dhcp6", ethernet(guest.mac, ALL_SERVERS_MAC, TAGGED, b"\0\x64\x86\xdd" + asks()[14:]),
         None),
        ("dhcp6", ethernet(guest.mac, ALL_SERVERS_MAC, IPV6, ipv6(
            own, SERVERS6, 44, b"\x11\0\0\1\0\0\0\7" + asks()[54:])), None),
    )


def answers(listener):
    """How many frames of IPv6 to one the listener heard from the gateway: to all, it tells who
    routes when nobody asked."""
    listener.heard(b"")
    return sum(frame[12:14] == b"\x86\xdd" and frame[6:12] == packed(GATEWAY_MAC)
               and frame[:2] != b"\x33\x33" for frame in listener.frames)


def nobody_else_is_answered_of_ipv6():
    guest, victim, _ = LAB.guests
    restart(guest.node)
    for one in (guest, victim):
        one.node.must("ensure", one.port(told_of(one)))
    own = Listener("itself", guest.name, "eth0")
    others = LAB.listeners(guest)
    wanted = {"dhcp6": {}, "router": {}}
    for service, frame, outcome in questions_of_others(guest, victim, b"for somebody else"):
        guest.send(frame)
        if outcome:
            wanted[service][outcome] = wanted[service].get(outcome, 0) + 1
    # In the end honest ones: all else was before them.
    guest.send(ethernet(guest.mac, ALL_SERVERS_MAC, IPV6, udp6(
        link_local_of(guest), SERVERS6, 546, 547, solicit(guest, b"for itself"))))
    guest.send(ethernet(guest.mac, ALL_ROUTERS_MAC, IPV6, icmpv6(
        link_local_of(guest), ROUTERS, ROUTER_SOLICITATION, bytes(4))))
    wanted["dhcp6"]["offered"] = wanted["router"]["answered"] = 1
    wait_until("honest questions are answered", lambda: answers(own) >= 2)
    for service, counts in wanted.items():
        counted = guest.node.counts(service, guest.link)
        assert counted == counts, (service, counted, counts)
        assert guest.node.counts(service, victim.link) == {}
    assert answers(own) == 2, answers(own)
    for one in others:
        assert not answers(one), one.name
    for one in (guest, victim):
        one.node.must("ensure", one.port())
    promise("dhcp6:for-that-nic-only", "another's Ethernet address or IPv6 source, the gateway's, "
            "a relay, another server, a wrong checksum, a tag, a fragment: no answer, and the own "
            "one heard by nobody else")


def a_flood_of_ipv6_is_limited_and_harms_no_neighbour():
    guest, neighbour, _ = LAB.guests
    restart(guest.node)
    guest.node.must("ensure", guest.port(told_of(guest)))
    own = link_local_of(guest)
    frames = {"dhcp6": ethernet(guest.mac, ALL_SERVERS_MAC, IPV6, udp6(
        own, SERVERS6, 546, 547, solicit(guest, b"again and again"))),
              "router": ethernet(guest.mac, ALL_ROUTERS_MAC, IPV6, icmpv6(
                  own, ROUTERS, ROUTER_SOLICITATION, bytes(4)))}
    answered = {"dhcp6": "offered", "router": "answered"}
    sent, began = 0, time.monotonic()
    enable(neighbour)

    def flood():
        nonlocal sent
        for _ in range(AT_ONCE):
            for frame in frames.values():
                guest.send(frame)
        sent += AT_ONCE
        wait_until("all questions are counted", lambda: all(
            sum(guest.node.counts(service, guest.link).values()) == sent for service in frames))

    leases = LEASES / "dhclient6.leases"
    leases.write_text("", encoding="utf-8")
    while not (has_link_local(neighbour) and default_routes(neighbour)):
        flood()
    client = subprocess.Popen(
        within(neighbour, "dhclient", "-6", "-1", "-d", "-lf", str(leases), "-pf",
               str(LEASES / "dhclient6.pid"), "eth0"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while sent < FLOOD_MIN or not has_all(neighbour):
            flood()
    finally:
        client.kill()
        client.wait()
    for service, outcome in answered.items():
        counted = guest.node.counts(service, guest.link)
        count = counted[outcome]
        assert counted == {outcome: count, "too_many": sent - count}, (counted, sent)
        assert BURST <= count <= BURST + 1 + A_SECOND * (time.monotonic() - began), counted
    disable(neighbour)
    guest.node.must("ensure", guest.port())
    promise("dhcp6:flood", f"{BURST} questions of each kind at once and {A_SECOND} a second "
            "answered, the others counted; a neighbour has its route and its address meanwhile")


def a_guest_with_ipv6_needs_no_daemon():
    guest = LAB.guests[0]
    enable(guest)
    await_route(guest)
    dhclient6(guest)
    guest.node.kill()
    assert has_all(guest)
    guest.node.start()
    ports = [one.port(told_of(one) if one is guest else "") for one in LAB.guests
             if one.node is guest.node]
    assert guest.node.must("reconcile", *ports) == ["ok 0 0 0"]
    assert has_all(guest)
    dhclient6(guest, lease_of(address_of(guest), 13))
    counted = guest.node.counts("dhcp6", guest.link)
    assert counted == {"acknowledged": 2}, counted
    disable(guest)
    promise("dhcp6:daemon-killed", "address and route stay; what comes back answers a renewal")


def stories(lab, tell):
    global LAB, promise
    LAB, promise = lab, tell
    return [linux_is_told_who_routes, dhclient_has_the_ipv6_address, dhcpcd_has_all_of_it,
            an_old_ipv6_address_is_not_confirmed, the_other_node_answers_a_renewal_of_ipv6,
            a_guest_with_a_prefix_finds_its_neighbours_behind_the_gateway,
            nobody_else_is_answered_of_ipv6,
            a_flood_of_ipv6_is_limited_and_harms_no_neighbour, a_guest_with_ipv6_needs_no_daemon]
