"""The bench lines of PVIP, in network namespaces of its own, which end with it: `pvip_tcp`,
`pvip_udp64`, `pvip_program`, `pvip_memory`, `pvip_move`. Needs root. Prints a JSON list."""

import argparse
import collections
import json
import os
import pathlib
import signal
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "system"))

import pvip_lab  # noqa: E402
import upstream_lab  # noqa: E402
from harness import wait_until  # noqa: E402
from kafka import row  # noqa: E402
from pvip_lab import ROUTER, Pings, run  # noqa: E402
from pvip_move import has_neighbours_at_its_node, has_routes_by_its_node, move  # noqa: E402
from pvip_paths import Paths, bits_a_second, frames_a_second, make_guests  # noqa: E402
from pvip_program import ByHand, Program, words_of  # noqa: E402
from upstream_lab import (GUESTS, await_established, await_route, speak_bgp,  # noqa: E402
                          speak_ospf)

FEW = 10  # of the ports, one in so many is "1,000 of 10,000"
CHANGES = 10  # of each kind in one run
BRIDGES = "bridges with the same number of links"
Namespace = collections.namedtuple("Namespace", "name")


def compared(name, what, unit, pairs, yardstick_what, load):
    """A row of pairs of values and yardsticks. A yardstick of nothing has no ratio."""
    values, yardsticks = zip(*pairs)
    ratios = [value / other for value, other in pairs if other]
    return row(name, what, unit, statistics.median(values), load,
               yardstick=statistics.median(yardsticks), yardstick_what=yardstick_what,
               ratio=statistics.median(ratios) if len(ratios) == len(pairs) else None)


# --- through two nodes ---------------------------------------------------------------------------


def pvip_udp64(wanted, _folder):
    load, paths = os.getloadavg()[0], Paths()
    pairs = [(frames_a_second(paths.routed, True, wanted.seconds),
              frames_a_second(paths.bridged, False, wanted.seconds)) for _ in range(wanted.runs)]
    paths.end()
    what = "frames of 64 bytes from a guest's tap to that of one on another node"
    return [compared("pvip_udp64", what, "frames/s", pairs, BRIDGES, load)]


def pvip_tcp(wanted, _folder):
    load, paths = os.getloadavg()[0], Paths()
    routed = make_guests(paths, paths.routed, "routed")
    bridged = make_guests(paths, paths.bridged, "bridged")
    address = paths.routed[1][3]
    pairs = [tuple(bits_a_second(guests, address, wanted.seconds) / 1e9
                   for guests in (routed, bridged)) for _ in range(wanted.runs)]
    paths.end()
    return [compared("pvip_tcp", "TCP between guests on two nodes", "Gbit/s", pairs, BRIDGES, load)]


# --- many ports ----------------------------------------------------------------------------------


def changed(program, kinds):
    """Median of milliseconds of one port's change there and back."""
    return statistics.median(program.ask("ensure", words_of(CHANGES) + kinds[n % 2])
                             for n in range(CHANGES))


def gone_and_come(program, number):
    """Median of milliseconds of one port's removal, and of its making."""
    link, *_ = words_of(number).split(",")
    pairs = [(program.ask("remove", link), program.ask("ensure", words_of(number)))
             for _ in range(CHANGES)]
    return map(statistics.median, zip(*pairs))


def pvip_program(wanted, folder):
    load = os.getloadavg()[0]
    few, many, told, address, limit, gone, come = [], [], [], [], [], [], []
    for _ in range(wanted.runs):
        for count, pairs in ((wanted.ports // FEW, few), (wanted.ports, many)):
            program = Program()
            took = program.make(count)
            by_hand = ByHand(folder, program.rules(), count)
            pairs.append((took, by_hand.make()))
            if pairs is many:
                link, _, own, _ = words_of(CHANGES).split(",")
                told.append((changed(program, (",quiet", "")), by_hand.ask(
                    "ip", "route", "replace", f"{own}/32", "dev", link, "proto", "144")))
                address.append((changed(program, (",more=10.255.0.1", "")), by_hand.ask(
                    "nft", "add", "element", "netdev", "orrery_vp", "address",
                    f"{{ {link} . 10.255.0.1 }}")))
                limit.append((changed(program, (",rate=80000000", "")), by_hand.ask(
                    "nft", "insert", "rule", "netdev", "orrery_vp", link,
                    "limit rate over 10 mbytes/second drop")))
                took_to_go, took_to_come = gone_and_come(program, wanted.ports)
                gone.append((took_to_go, by_hand.ask("ip", "link", "delete", link)))
                come.append((took_to_come, by_hand.ask(
                    "ip", "tuntap", "add", "dev", link, "mode", "tap")))
            by_hand.end()
            program.end()
    same = "the same objects by ip -batch, sysctl -p and nft -f"
    return [compared("pvip_program", f"{wanted.ports // FEW:,} ports from cold", "ms", few, same,
                     load),
            compared("pvip_program.many", f"{wanted.ports:,} ports from cold", "ms", many, same,
                     load),
            compared("pvip_program.told", f"one of {wanted.ports:,} ports is told of, or not any "
                     "more", "ms", told, "ip route replace", load),
            compared("pvip_program.address", "one of them has an address more, or not any more",
                     "ms", address, "nft add element", load),
            compared("pvip_program.limit", "one of them has a limit, or not any more", "ms", limit,
                     "nft insert rule", load),
            compared("pvip_program.comes", "one of them comes", "ms", come, "ip tuntap add", load),
            compared("pvip_program.goes", "one of them goes", "ms", gone, "ip link delete", load)]


def available():
    """Bytes of memory that nobody has."""
    for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("pvip: the kernel does not tell what memory is available")


def pvip_memory(wanted, folder):
    load = os.getloadavg()[0]
    taps, program = ByHand(folder, "", wanted.ports), Program()
    before = available()
    taps.ask("ip", "-batch", str(pathlib.Path(folder) / "taps"))
    of_taps = before - available()
    before, of_us = available(), program.resident()
    program.make(wanted.ports)
    of_us = program.resident() - of_us
    of_kernel = before - available() - of_us
    taps.end()
    program.end()
    return [row("pvip_memory", f"kernel's for one of {wanted.ports:,} ports", "KiB",
                of_kernel / wanted.ports / 1024, load, yardstick=of_taps / wanted.ports / 1024,
                yardstick_what="a tap with nothing on it", ratio=of_kernel / of_taps),
            row("pvip_memory.daemon", "our processes' for one of them", "KiB",
                of_us / wanted.ports / 1024, load)]


# --- moves ---------------------------------------------------------------------------------------


def move_naively(guest, new, _all_know, told=""):
    """Everything at the new node, then nothing at the old one."""
    old, port = guest.node, guest.port(told)
    new.must("ensure", f"{port},quiet")
    guest.stop_for(new)
    guest.go_on()
    new.must("ensure", port)
    old.must("remove", guest.link)


def lost_in(how, lab, is_known, told):
    """Pings of 10 ms to the guest, while it moves in that way to the other node."""
    guest = lab.guests[0]
    new = next(one for one in lab.nodes.values() if one is not guest.node)
    with Pings(Namespace("router"), guest.address) as pings:
        how(guest, new, lambda: is_known("router", guest, ("-4",)), told)
        lost = pings.lost()
    wait_until("the router knows", lambda: is_known("router", guest, ("-4",)))
    return lost


def begin_bgp(lab):
    for node in lab.nodes.values():
        speak_bgp(node, routers=(ROUTER,))
    for node in lab.nodes.values():
        await_established(node, ROUTER)
    await_route("router", lab.guests[0].address)


def begin_ospf(lab):
    for node in lab.nodes.values():
        speak_ospf(node)
    for node in lab.nodes.values():
        await_established(node, ROUTER)
    for node in lab.nodes.values():  # by which the guest answers
        await_route(node.name, "default")
    await_route("router", lab.guests[0].address)


def begin_static(lab):
    for node in lab.nodes.values():
        node.must("stop")
    await_route("router", lab.guests[0].address, False)
    run("ip", "-n", "router", "route", "del", "unreachable", GUESTS)
    run("ip", "-n", "router", "route", "add", GUESTS, "dev", "up0")
    lab.guests[0].node.must("ensure", lab.guests[0].port(",uplink=up0"))


def pvip_move(wanted, _folder):
    with tempfile.TemporaryDirectory(prefix="orrery-pvip-") as folder:
        os.chmod(folder, 0o755)  # BIRD is nobody in particular
        lab = upstream_lab.UpstreamLab(folder)
        try:
            return moves(wanted, lab)
        finally:
            lab.end()


def moves(wanted, lab):
    load, rows = os.getloadavg()[0], []
    lab.start_bird()
    lab.guest("a")
    for name, what, begin, is_known, told in (
            ("pvip_move", "BGP", begin_bgp, has_routes_by_its_node, ""),
            ("pvip_move.ospf", "OSPF", begin_ospf, has_routes_by_its_node, ""),
            ("pvip_move.static", "ARP", begin_static, has_neighbours_at_its_node, ",uplink=up0")):
        begin(lab)
        pairs = [tuple(lost_in(how, lab, is_known, told) for how in (move, move_naively))
                 for _ in range(wanted.runs)]
        rows.append(compared(name, f"pings of 10 ms lost when a guest moves, {what}", "pings",
                             pairs, "without a forwarding tail", load))
    return rows


LINES = {"pvip_tcp": pvip_tcp, "pvip_udp64": pvip_udp64, "pvip_program": pvip_program,
         "pvip_memory": pvip_memory, "pvip_move": pvip_move}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("line", choices=LINES)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scratch", default="/var/tmp")
    parser.add_argument("--ports", type=int, default=10_000, help="on one node, 100 to 16,000")
    parser.add_argument("--seconds", type=float, default=3, help="of one stream")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    pvip_lab.enter()
    with tempfile.TemporaryDirectory(prefix="orrery-pvip-", dir=wanted.scratch) as folder:
        print(json.dumps(LINES[wanted.line](wanted, folder), indent=2))


if __name__ == "__main__":
    main()
