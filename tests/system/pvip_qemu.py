"""Real guests in the lab of pvip_lab.py: QEMU on the tap of a port, with Debian's kernel, busybox
and DHCP clients. They are emulated, so that they need nothing of the machine. Needs root.
Standard library only.
"""

import json
import pathlib
import re
import shutil
import socket
import subprocess

from harness import JOB_LIMIT, ROOT
from initramfs import with_files
from pvip_lab import GATEWAY, Pings, await_links, run

MEMORY_MIB = 96
BYTES_MAX = 65_536  # read at once
DOWNTIME_MS = 10  # that QEMU may plan for its last round
BYTES_A_SECOND = 1 << 30  # of a migration within this machine: nothing to be polite to
# Programs of Debian in a guest, beside busybox, with the libraries that they name, and files.
PROGRAMS = ("/sbin/dhclient", "/bin/ip")
FILES = ("/sbin/dhclient-script", "/etc/dhcp/dhclient.conf", "/etc/udhcpc/default.script")
# The first process: it obeys lines from the console, and says how each ended.
INIT = """#!/bin/busybox sh
export PATH=/sbin:/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
busybox --install -s /bin
while read -r module; do insmod "/modules/$module.ko"; done </modules/order
ip link set lo up
until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
ip link set eth0 up
stty -echo
echo "=ready="
while read -r line; do
  eval "$line" </dev/null 2>&1
  echo "=$?="
done
"""


def guest_image(folder):
    """Makes kernel and initramfs of deploy/lib/guest-image there, unless they are. Fetches Debian
    packages when they are in no cache, so before the namespaces are entered."""
    run(ROOT / "deploy" / "lib" / "guest-image", folder, "lab")
    return pathlib.Path(folder) / "lab"


def lab_image(image, folder):
    """The initramfs with the clients and our first process, in the folder; its path."""
    root = pathlib.Path(folder) / "root"
    for name in ("run", "tmp", "var/lib/dhcp", "etc"):
        (root / name).mkdir(parents=True)
    needed = re.findall(r"/lib\S*", run("ldd", *PROGRAMS))
    for one in {*PROGRAMS, *FILES, *needed}:
        target = root / one.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(one, target)
    for name in ("etc/fstab", "etc/resolv.conf"):
        (root / name).touch()
    init = root / "lab-init"
    init.write_text(INIT, encoding="utf-8")
    init.chmod(0o755)
    whole = pathlib.Path(folder) / "initrd"
    whole.write_bytes(with_files((image / "initrd").read_bytes(), root))
    return whole


class Channel:
    """A socket to a QEMU, read line by line."""

    def __init__(self):
        self.socket, self.other_end = socket.socketpair()
        self.socket.settimeout(JOB_LIMIT)
        self.left = b""

    def number(self):
        """Of the descriptor that QEMU inherits."""
        return self.other_end.fileno()

    def line(self):
        while b"\n" not in self.left:
            more = self.socket.recv(BYTES_MAX)
            assert more, f"QEMU ended; it said {self.left}"
            self.left += more
        line, _, self.left = self.left.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")

    def say(self, text):
        self.socket.sendall(text.encode() + b"\n")


class Machine:
    """One QEMU on a node, on the tap of a port there. `incoming`: it waits for a guest."""

    count = 0

    def __init__(self, folder, image, guest, node, incoming=False):
        Machine.count += 1
        self.folder = pathlib.Path(folder) / f"machine-{Machine.count}"
        self.folder.mkdir()
        self.control, self.console = Channel(), Channel()
        kernel, initrd = image
        words = ["qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-cpu", "qemu64", "-m",
                 str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
                 "-kernel", str(kernel), "-initrd", str(initrd),
                 "-append", "console=ttyS0 quiet rdinit=/lab-init panic=-1", "-no-reboot",
                 "-chardev", f"socket,id=control,fd={self.control.number()}",
                 "-mon", "chardev=control,mode=control",
                 "-chardev", f"socket,id=console,fd={self.console.number()}",
                 "-serial", "chardev:console",
                 "-netdev", f"tap,id=n,ifname={guest.link},script=no,downscript=no",
                 "-device", f"virtio-net-pci,netdev=n,romfile=,mac={guest.mac}",
                 *(["-incoming", "defer"] if incoming else [])]
        channels = self.control, self.console
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(["ip", "netns", "exec", node.name, *words],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            pass_fds=[one.number() for one in channels])
        for one in channels:
            one.other_end.close()
        self.events = []
        try:
            self.control.line()  # its greeting
            self.ask("qmp_capabilities")
            await_links(node.name, [guest.link])
        except BaseException:
            self.end()  # nobody knows of it but us
            raise

    def ask(self, command, **arguments):
        """Has QEMU do something; what it returns."""
        self.control.say(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            said = json.loads(self.control.line())
            assert "error" not in said, (command, said)
            if "return" in said:
                return said["return"]
            self.events.append(said["event"])

    def await_event(self, name):
        """That comes, or came and was not waited for."""
        while name not in self.events:
            self.events.append(json.loads(self.control.line())["event"])
        self.events.remove(name)

    def end(self):
        self.process.kill()
        self.process.wait()


class RealGuest:
    """A guest of a node, known to the lab by what `pvip_lab.Guest` has, too; and a console."""

    def __init__(self, lab, image, number, node, told=""):
        self.lab, self.image, self.node, self.told = lab, image, node, told
        self.name, self.link = f"qemu-{number}", f"vp{number:04d}"
        self.mac, self.address = f"0a:00:00:00:00:{number:02x}", f"10.99.0.{10 + number}"
        self.address6 = f"2001:db8:99::{10 + number}"
        node.must("ensure", self.port())
        self.machine = Machine(lab.folder, image, self, node)

    def port(self, more=""):
        return (f"{self.link},{self.mac},{self.address},{GATEWAY},ip6={self.address6}{self.told}"
                f"{more}")

    def await_boot(self):
        while self.machine.console.line() != "=ready=":
            pass

    def begin(self, command):
        """Has the guest's shell do it; `ended` waits for that."""
        self.machine.console.say(command)

    def ended(self):
        """The status, and what it said."""
        lines = []
        while not re.fullmatch(r"=\d+=", line := self.machine.console.line()):
            lines.append(line)
        return int(line.strip("=")), "\n".join(lines)

    def ask(self, command):
        self.begin(command)
        return self.ended()

    def say(self, command):
        """That must be done; what it said."""
        status, said = self.ask(command)
        assert status == 0, (self.name, command, status, said)
        return said

    def lost(self, address, count=20):
        """How many pings were not answered."""
        _, said = self.ask(f"ping -c {count} -i 0.01 -w 10 -q {address}")
        received = re.search(r"(\d+) packets received", said)
        return count - int(received.group(1)) if received else count

    def stop_for(self, node):
        """Copies it, while it runs, to a machine on another node that has its port, until it must
        stop for what is left."""
        self.old_machine = self.machine
        self.machine = Machine(self.lab.folder, self.image, self, node, incoming=True)
        way = f"unix:{self.machine.folder}/migration"
        self.machine.ask("migrate-incoming", uri=way)
        self.old_machine.ask("migrate-set-capabilities", capabilities=[
            {"capability": "pause-before-switchover", "state": True}])
        self.old_machine.ask("migrate-set-parameters", **{"downtime-limit": DOWNTIME_MS,
                                                          "max-bandwidth": BYTES_A_SECOND})
        self.old_machine.ask("migrate", uri=way)
        self.old_machine.await_event("STOP")
        self.node = node

    def go_on(self):
        """At the new node."""
        self.old_machine.ask("migrate-continue", state="pre-switchover")
        self.machine.await_event("RESUME")

    def leave_nothing(self):
        """At the old node, where a machine still holds its tap."""
        self.old_machine.end()

    def end(self):
        self.machine.end()


class GuestPings(Pings):
    """From a real guest, by busybox's ping."""

    FIRST = 0

    def __init__(self, guest, address):
        self.guest = guest
        guest.say(f"ping -i 0.01 {address} >/tmp/pings &")

    def __exit__(self, *_):
        self.guest.ask("kill $(pidof ping)")

    def answered(self):
        said = self.guest.say(r"sed -n 's/.* seq=\([0-9]*\) .* time=.*/\1/p' /tmp/pings")
        return list(dict.fromkeys(int(number) for number in said.split()))
