"""Many ports on one node, made by PVIP and, as a yardstick, the very same objects by iproute2,
sysctl and nft; each in a namespace of its own."""

import pathlib
import subprocess
import time

from harness import wait_until
from pvip_lab import GATEWAY, GATEWAY_MAC, Node, run


def words_of(number):
    """A port in the words of pvip_ports."""
    high, low = divmod(number, 256)
    return f"vp{number:06d},0a:00:00:00:{high:02x}:{low:02x},10.100.{high}.{low},{GATEWAY}"


class Namespace:
    """A network namespace that is really gone when it was ended: the kernel takes seconds for
    thousands of links, and all others wait for their turn meanwhile."""

    count = 0

    def __init__(self, name):
        self.name = name
        Namespace.count += 1
        self.watched = f"watched{Namespace.count}"
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", self.watched, "type", "veth", "peer", "name", "watched", "netns",
            name)

    def end(self):
        run("ip", "netns", "delete", self.name)
        wait_until(f"{self.name} goes", lambda: self.watched not in run("ip", "link", "show"))
        # The other end of what is watched goes first, and then the kernel is busy until all went.
        run("ip", "link", "add", "turn0", "type", "veth", "peer", "name", "turn1")
        run("ip", "link", "delete", "turn0")


class Program:
    """A node without ports, in a namespace of its own."""

    count = 0

    def __init__(self):
        Program.count += 1
        self.namespace = Namespace(f"node-many-{Program.count}")
        self.node = Node(f"many-{Program.count}")

    def ask(self, *words):
        """Milliseconds until it is done."""
        began = time.monotonic()
        self.node.must(*words)
        return (time.monotonic() - began) * 1e3

    def make(self, count):
        return self.ask("reconcile", *map(words_of, range(1, count + 1)))

    def resident(self):
        """Bytes of the process and of its nftables."""
        pid = self.node.process.pid
        children = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
        all_of_it = [pid, *(one for file in children for one in file.read_text().split())]
        return sum(int(pathlib.Path(f"/proc/{one}/statm").read_text().split()[1]) * 4096
                   for one in all_of_it)

    def rules(self):
        """Of its filter, as nft takes them."""
        return self.node.nft("list", "table", "netdev", "orrery_vp")

    def end(self):
        self.node.process.stdin.close()
        self.node.process.wait()
        self.namespace.end()


class ByHand:
    """The same objects by the programs that an operator has."""

    def __init__(self, folder, rules, count):
        """`rules` of a `Program` with so many ports."""
        Program.count += 1
        self.namespace = Namespace(f"by-hand-{Program.count}")
        self.folder = pathlib.Path(folder)
        ports = [words_of(number).split(",") for number in range(1, count + 1)]
        self.write("taps", "".join(f"tuntap add dev {link} mode tap vnet_hdr\n"
                                   f"link set {link} address {GATEWAY_MAC} addrgenmode none alias "
                                   f"mark\n" for link, *_ in ports))
        keys = ("neigh.{}.proxy_delay=0", "conf.{}.proxy_arp=1", "conf.{}.rp_filter=1",
                "conf.{}.send_redirects=0", "conf.{}.accept_redirects=0")
        six = ("accept_ra=0", "accept_dad=0")
        self.write("settings", "".join(
            "".join(f"net/ipv4/{key.format(link).replace('.', '/')}\n"
                    for key in keys)
            + "".join(f"net/ipv6/conf/{link}/{key}\n" for key in six) for link, *_ in ports))
        self.write("rules", rules)
        self.write("ways", f"address add {GATEWAY}/32 dev lo\n" + "".join(
            f"link set {link} up\n"
            f"neigh replace {address} lladdr {mac} dev {link} nud permanent\n"
            f"route replace {address}/32 dev {link} proto 143\n"
            for link, mac, address, _ in ports))

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def make(self):
        """Milliseconds."""
        began = time.monotonic()
        within = ["ip", "netns", "exec", self.namespace.name]
        for words in (["ip", "-batch", self.folder / "taps"],
                      ["sysctl", "-q", "-p", self.folder / "settings"],
                      ["nft", "-f", self.folder / "rules"],
                      ["ip", "-batch", self.folder / "ways"]):
            subprocess.run([*within, *words], check=True)
        return (time.monotonic() - began) * 1e3

    def ask(self, *words):
        """Milliseconds of one program."""
        began = time.monotonic()
        run("ip", "netns", "exec", self.namespace.name, *words)
        return (time.monotonic() - began) * 1e3

    def end(self):
        self.namespace.end()
