"""What guests are told by DHCP, judged by clients as their makers ship them.

A part of pvip_test.py.
"""

import json
import pathlib
import signal
import subprocess
import tempfile
import time

from frames import ARP, BROADCAST, IPV4, TAGGED, dhcp_discover, ethernet, ipv4
from harness import wait_until
from pvip_lab import BEYOND, GATEWAY, GATEWAY_MAC, Listener, Pings, run

TOLD = ",mtu=1400,dns=10.99.0.53,dns=10.99.0.54"
SERVERS = ["10.99.0.53", "10.99.0.54"]
RESOLVER = pathlib.Path("/etc/resolv.conf")
LEASES = pathlib.Path("/mnt/leases")
BURST, A_SECOND = 16, 4  # dhcp_rate
FLOOD_MIN, AT_ONCE = 2_000, 500  # questions of a flood, and how many are on their way
STRANGER = "10.99.0.99"
LAB, promise = None, None


def own_etc():
    """Clients write to /etc: to a copy that only this program has, and that ends with it."""
    if not LEASES.exists():
        run("mount", "-t", "tmpfs", "none", "/mnt")
        run("cp", "-a", "/etc", "/mnt/etc")
        run("mount", "--bind", "/mnt/etc", "/etc")
        LEASES.mkdir()


def within(guest, *words):
    return ["ip", "netns", "exec", guest.name, *words]


def forget(guest, told=""):
    """The guest has no address, and its port tells this."""
    own_etc()
    RESOLVER.write_text("", encoding="utf-8")
    guest.node.must("ensure", guest.port(told))
    guest.ip("address", "flush", "dev", "eth0")
    guest.ip("link", "set", "eth0", "mtu", "1500")


def set_by_hand(guest):
    """As the guest was before any client ran."""
    forget(guest)
    guest.ip("address", "add", f"{guest.address}/24", "dev", "eth0")
    guest.ip("route", "add", "default", "via", GATEWAY)


def configured(guest):
    """(addresses, routes, MTU, name servers) that the guest's kernel and resolver have."""
    shown = json.loads(guest.ip("-j", "-4", "address", "show", "dev", "eth0"))
    link = json.loads(guest.ip("-j", "link", "show", "eth0"))[0]
    routes = json.loads(guest.ip("-j", "-4", "route"))
    return ([f"{one['local']}/{one['prefixlen']}" for each in shown for one in each["addr_info"]],
            {one["dst"]: one.get("gateway", "on-link") for one in routes}, link["mtu"],
            [line.split()[1] for line in RESOLVER.read_text(encoding="utf-8").splitlines()
             if line.startswith("nameserver")])


def expect_told(guest):
    assert configured(guest) == (
        [f"{guest.address}/24"], {"default": GATEWAY, "10.99.0.0/24": "on-link"}, 1400, SERVERS
    ), configured(guest)


def expect_reachable(guest):
    others = [one.address for one in LAB.guests if one is not guest]
    lost = {address: guest.lost(address) for address in (GATEWAY, BEYOND, *others)}
    assert not any(lost.values()), (lost, configured(guest))


def udhcpc_of(guest):
    """Ends when it has a lease."""
    return within(guest, "udhcpc", "-i", "eth0", "-f", "-q", "-n")


def expect_lease(guest, said, status):
    assert status == 0, said
    assert f"lease of {guest.address} obtained from {GATEWAY}" in said, said


def udhcpc(guest):
    done = subprocess.run(udhcpc_of(guest), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    expect_lease(guest, done.stderr, done.returncode)


class StayingUdhcpc:
    """While it is entered it keeps the guest's lease."""

    def __init__(self, guest):
        self.guest = guest
        forget(guest, TOLD)
        self.process = subprocess.Popen(within(guest, "udhcpc", "-i", "eth0", "-f"),
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        self.await_script()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        set_by_hand(self.guest)

    def ask_for_renewal(self):
        RESOLVER.write_text("", encoding="utf-8")
        self.process.send_signal(signal.SIGUSR1)

    def await_script(self):
        """Until Debian's script set everything; the name servers are the last."""
        wait_until("udhcpc's script has run", lambda: configured(self.guest)[3] == SERVERS)
        expect_told(self.guest)


def dhclient(guest, known_lease=""):
    """Until it has a lease and its script has run; then it is ended. What it wrote, and said."""
    leases = LEASES / "dhclient.leases"
    leases.write_text(known_lease, encoding="utf-8")
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            within(guest, "dhclient", "-4", "-1", "-d", "-lf", str(leases), "-pf",
                   str(LEASES / "dhclient.pid"), "eth0"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)

        def told():
            said.seek(0)
            return said.read()
        try:
            wait_until("dhclient is bound", lambda: f"bound to {guest.address}" in told())
        finally:
            process.kill()
            process.wait()
        return leases.read_text(encoding="utf-8"), told()


def ports_of(node):
    return [one.port(TOLD) for one in LAB.guests if one.node is node]


def restart(node):
    """What it counted is forgotten, and how often it was asked."""
    node.kill()
    node.start()
    assert node.must("reconcile", *ports_of(node)) == ["ok 0 0 0"]


def move(guest, node):
    guest.unplug()
    guest.node.must("remove", guest.link)
    guest.node = node
    node.must("ensure", guest.port(TOLD))
    guest.plug()
    LAB.announce(guest.address, node)


# --- what clients are told -----------------------------------------------------------------------


def udhcpc_configures_a_guest():
    guest = LAB.guests[0]
    forget(guest, TOLD)
    udhcpc(guest)
    expect_told(guest)
    expect_reachable(guest)
    set_by_hand(guest)
    promise("dhcp:udhcpc", "address, mask, route, MTU and DNS set by its script; 0 pings lost")


def dhclient_configures_a_guest():
    guest = LAB.guests[0]
    forget(guest, TOLD)
    written, _ = dhclient(guest)
    for line in ("option dhcp-lease-time 604800;", f"option dhcp-server-identifier {GATEWAY};",
                 "option dhcp-renewal-time 43200;", "option dhcp-rebinding-time 518400;"):
        assert line in written, written
    expect_told(guest)
    expect_reachable(guest)
    set_by_hand(guest)
    promise("dhcp:dhclient", "address, mask, route, MTU and DNS set by its script; 0 pings lost")


def dhclient_takes_classless_routes():
    guest = LAB.guests[0]
    forget(guest, TOLD + ",classless")
    dhclient(guest)
    assert configured(guest) == (
        [f"{guest.address}/32"], {GATEWAY: "on-link", "default": GATEWAY}, 1400, SERVERS
    ), configured(guest)
    expect_reachable(guest)
    forget(guest, TOLD + ",classless")
    udhcpc(guest)  # whose script knows nothing of them, and takes the router
    assert configured(guest)[:2] == ([f"{guest.address}/32"], {"default": GATEWAY})
    expect_reachable(guest)
    set_by_hand(guest)
    promise("dhcp:classless-routes", "a /32 and two routes by dhclient, a /32 and a router by "
            "udhcpc; 0 pings lost")


def a_guest_with_an_old_address_is_told_so():
    guest = LAB.guests[0]
    forget(guest)
    _, said = dhclient(guest, f"""lease {{ interface "eth0"; fixed-address {STRANGER};
      option subnet-mask 255.255.255.0; option dhcp-server-identifier {GATEWAY};
      renew never; rebind never; expire never; }}\n""")
    assert f"DHCPREQUEST for {STRANGER}" in said and "DHCPNAK from " + GATEWAY in said, said
    assert configured(guest)[0] == [f"{guest.address}/24"], configured(guest)
    assert guest.lost(BEYOND) == 0
    set_by_hand(guest)
    promise("dhcp:old-address", "refused at once; dhclient asks again and has its own")


def the_other_node_answers_a_renewal():
    guest, home, other = LAB.guests[0], LAB.guests[0].node, LAB.nodes["b"]
    with StayingUdhcpc(guest) as client:
        for node in (home, other, home):
            if node is not guest.node:
                move(guest, node)
            counted = node.dhcp(guest.link).get("acknowledged", 0)
            client.ask_for_renewal()
            client.await_script()
            now = node.dhcp(guest.link)
            assert now["acknowledged"] > counted, (now, counted)
            assert node is home or now.keys() == {"acknowledged"}, now  # nothing was asked anew
            expect_reachable(guest)
    promise("dhcp:renewal", "asked of the gateway alone; answered by the node, by the other node "
            "after a move, and after the way back")


# --- for whom ------------------------------------------------------------------------------------


def questions_of_others(guest, victim, marker):
    """(frame, outcome; None: not even looked at) that nobody answers."""
    def asked(source=guest.mac, client=guest.mac, address="0.0.0.0", to="255.255.255.255", **more):
        return ethernet(source, BROADCAST, IPV4,
                        ipv4(address, to, 17, dhcp_discover(client, marker, **more)))

    return (
        (asked(client=victim.mac), "foreign"),
        (asked(source=victim.mac, client=victim.mac), "foreign"),
        (asked(source=victim.mac), "foreign"),
        (asked(address=victim.address), "foreign"),
        (asked(relay=victim.address), "relayed"),
        (asked(to="10.99.0.2"), "other_server"),
        (asked(options=b"\x3d\xff short"), "malformed"),
        (ethernet(guest.mac, BROADCAST, TAGGED, b"\0\x64\x08\0" + asked()[14:]), None),
        (ethernet(guest.mac, BROADCAST, ARP, asked()[14:]), None),
    )


def offers(listener, client):
    """How many offers the listener heard for this Ethernet address."""
    listener.heard(b"")
    return sum(frame[12:14] == b"\x08\0" and frame[34:38] == b"\0\x43\0\x44"
               and frame[70:76] == bytes.fromhex(client.replace(":", ""))
               for frame in listener.frames)


def nobody_else_is_answered():
    guest, victim, _ = LAB.guests
    restart(guest.node)
    own = Listener("itself", guest.name, "eth0")
    others = LAB.listeners(guest)
    wanted = {"offered": 1}
    for frame, outcome in questions_of_others(guest, victim, b"for somebody else"):
        guest.send(frame)
        if outcome:
            wanted[outcome] = wanted.get(outcome, 0) + 1
    # In the end an honest one: all else was before it.
    guest.send(ethernet(guest.mac, BROADCAST, IPV4, ipv4(
        "0.0.0.0", "255.255.255.255", 17, dhcp_discover(guest.mac, b"for itself"))))
    wait_until("an honest question is answered", lambda: offers(own, guest.mac))
    assert guest.node.dhcp(guest.link) == wanted, (guest.node.dhcp(guest.link), wanted)
    assert guest.node.dhcp(victim.link) == {}
    assert offers(own, guest.mac) == 1 and offers(own, victim.mac) == 0
    for one in others:
        assert not offers(one, guest.mac) + offers(one, victim.mac), one.name
    promise("dhcp:for-that-nic-only", "another's Ethernet address in frame or message, another's "
            "IPv4 address, a relay, another server, a tag: no answer, and the own one heard by "
            "nobody else")


def a_flood_is_limited_and_harms_no_neighbour():
    guest, neighbour, _ = LAB.guests
    forget(neighbour)
    restart(guest.node)
    frame = ethernet(guest.mac, BROADCAST, IPV4, ipv4(
        "0.0.0.0", "255.255.255.255", 17, dhcp_discover(guest.mac, b"again and again")))
    sent, began, client = 0, time.monotonic(), None
    while sent < FLOOD_MIN or client.poll() is None:
        for _ in range(AT_ONCE):
            guest.send(frame)
        sent += AT_ONCE
        wait_until("all questions are counted", lambda sent=sent: sum(
            guest.node.dhcp(guest.link).values()) == sent)
        client = client or subprocess.Popen(udhcpc_of(neighbour), stdin=subprocess.DEVNULL,
                                            stderr=subprocess.PIPE, text=True)
    expect_lease(neighbour, client.communicate()[1], client.returncode)
    counted = guest.node.dhcp(guest.link)
    answered = counted["offered"]
    assert counted == {"offered": answered, "too_many": sent - answered}, (counted, sent)
    assert BURST <= answered <= BURST + 1 + A_SECOND * (time.monotonic() - began), counted
    expect_reachable(neighbour)
    set_by_hand(neighbour)
    promise("dhcp:flood", f"{BURST} questions at once and {A_SECOND} a second answered, the others "
            "counted; udhcpc of a neighbour has its address meanwhile")


def a_guest_with_its_lease_needs_no_daemon():
    guest = LAB.guests[0]
    with StayingUdhcpc(guest) as client:
        with Pings(guest, BEYOND) as pings:
            guest.node.kill()
            client.ask_for_renewal()  # nobody answers
            lost_without = pings.lost()
            guest.node.start()
            assert guest.node.must("reconcile", *ports_of(guest.node)) == ["ok 0 0 0"]
            lost = pings.lost()
        # After the pings: Debian's script takes the address away for a moment.
        client.ask_for_renewal()
        client.await_script()
    assert lost_without == 0 and lost == 0, (lost_without, lost)
    promise("dhcp:daemon-killed", "0 pings lost; what comes back answers a renewal")


def stories(lab, tell):
    global LAB, promise
    LAB, promise = lab, tell
    return [udhcpc_configures_a_guest, dhclient_configures_a_guest,
            dhclient_takes_classless_routes, a_guest_with_an_old_address_is_told_so,
            the_other_node_answers_a_renewal, nobody_else_is_answered,
            a_flood_is_limited_and_harms_no_neighbour, a_guest_with_its_lease_needs_no_daemon]
