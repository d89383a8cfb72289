"""A real node on this machine: own namespaces, own libvirtd, real guests. Standard library only."""

import ipaddress
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from harness import ROOT, Daemon, make_network, wait_until

LIB = ROOT / "deploy" / "lib"
PREFIX = "10.99.0.0/24"
PREFIX6 = "fd00:99::/64"
# Why the node drops: drop_reason in pvip/plan/filter.hpp.
DHCP_REQUEST, IPV6_REQUEST, TOO_FAST_TO_GUEST = 8, 16, 19
# A guest of the image that deploy/lib/guest-image makes needs about 100 MiB.
MEMORY_MIB = 192
# libvirtd waits here, with the guest's lock held, while the file `hold` is there: a slow start. It
# says so in `held`; `holds` is how often it did.
HOOK = """#!/bin/sh
[ "$2 $3" = "prepare begin" ] || exit 0
[ -e {hold} ] || exit 0
echo "$1" >>{held}
while [ -e {hold} ]; do sleep 0.05; done
"""


def run(*words, check=True):
    """Runs a program; its output. Its errors are in the failure's text."""
    done = subprocess.run([str(one) for one in words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def is_alive(pid):
    """A zombie is dead."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


class VirtualNode:
    """One node of deploy/lib/node-up, below `folder`, and the truth about it."""

    def __init__(self, folder, name):
        self.name = name
        self.folder = pathlib.Path(folder) / "nodes"
        self.directory = self.folder / name
        self.namespace = f"orrery-{name}"
        self.socket = self.directory / "run/libvirt/libvirt-sock"
        self.hold = pathlib.Path(folder) / f"{name}.hold"
        self.held = pathlib.Path(folder) / f"{name}.held"
        self.is_watched = False
        self.was_killed = False
        self.guard = None
        self.deaths = 0

    def up(self):
        """Starts what does not run. Guests are not touched."""
        run(LIB / "node-up", self.name, "--dir", self.folder)
        self.was_killed = False

    def watch(self):
        """Does what systemd does for libvirtd on a real host (Restart=on-failure): starts it again
        when it died by itself. Seen once in some hundred kills of its clients, and told."""
        while self.is_watched:
            time.sleep(0.3)
            if self.is_watched and not self.was_killed and not is_alive(self.pid_of("libvirtd")):
                self.deaths += 1
                log = (self.directory / "log/libvirtd.log").read_text(errors="replace")
                print(f"libvirtd of node {self.name} died by itself; its last words:\n"
                      f"{log[-1000:]}", flush=True)
                self.up()

    def prepare(self):
        """Starts it with the hook, which libvirtd looks for only when it begins."""
        self.up()
        hooks = self.directory / "etc/hooks"
        hooks.mkdir()
        (hooks / "qemu").write_text(HOOK.format(hold=self.hold, held=self.held))
        (hooks / "qemu").chmod(0o755)
        self.kill_libvirtd()
        self.up()
        self.is_watched = True
        self.guard = threading.Thread(target=self.watch, daemon=True)
        self.guard.start()

    def down(self):
        self.is_watched = False
        if self.guard:
            self.guard.join()
        self.resume()
        run(LIB / "node-down", self.name, "--dir", self.folder)

    def pid_of(self, role):
        lines = (self.directory / "pids").read_text().splitlines()
        return int([line.split()[1] for line in lines if line.split()[0] == role][-1])

    def kill_libvirtd(self):
        pid = self.pid_of("libvirtd")
        self.was_killed = True
        os.kill(pid, signal.SIGKILL)
        wait_until("libvirtd is dead", lambda: not is_alive(pid))

    def pause_libvirtd(self):
        os.kill(self.pid_of("libvirtd"), signal.SIGSTOP)

    def resume(self):
        """Ends every artificial delay."""
        self.hold.unlink(missing_ok=True)
        pid = self.pid_of("libvirtd")
        if is_alive(pid):
            os.kill(pid, signal.SIGCONT)

    def virsh(self, *words, check=True):
        """virsh inside the node."""
        return run("nsenter", "--target", self.pid_of("keeper"), "--net", "--mount", "virsh", "-q",
                   "-c", "qemu:///system", *words, check=check)

    def domains(self):
        """Name and state ("running", "shut off") of each."""
        found = {}
        for line in self.virsh("list", "--all").splitlines():
            _, name, state = line.split(None, 2)
            found[name] = state.strip()
        return found

    def guest_pid(self, vm):
        return int((self.directory / "run/libvirt/qemu" / f"{domain_of(vm)}.pid").read_text())

    def ip(self, *words):
        return json.loads(run("ip", "-j", "-n", self.namespace, *words) or "[]")

    def links(self):
        return {one["ifname"] for one in self.ip("link", "show") if one["ifname"].startswith("vp")}

    def routes(self):
        """(address, link) of each route to one address only."""
        return {(one["dst"], one.get("dev"))
                for one in self.ip("route", "show") + self.ip("-6", "route", "show")
                if "/" not in one["dst"] and one["dst"] != "default"}

    def neighbours(self):
        """(address, link, MAC) of each permanent one."""
        return {(one["dst"], one["dev"], one.get("lladdr"))
                for one in self.ip("neigh", "show", "nud", "permanent")
                if one["dev"].startswith("vp")}

    def nft(self, *words):
        return run("ip", "netns", "exec", self.namespace, "nft", *words)

    def filter(self):
        """What guests may send from, {(link, MAC or address)}; and {(link, reason)} of drops."""
        shown = json.loads(self.nft("-j", "list", "ruleset"))
        sets = {"mac": set(), "address": set(), "address6": set(), "dropped": set()}
        for one in shown["nftables"]:
            ours = one.get("set", {})
            if ours.get("table") == "orrery_vp" and ours["name"] in sets:
                sets[ours["name"]] = {tuple(e.get("elem", {}).get("val", e)["concat"])
                                      for e in ours.get("elem", [])}
        return sets["mac"] | sets["address"] | sets["address6"], sets["dropped"]

    def limits_rate(self, link):
        """Whether the filter of a port has a limit of what passes."""
        return any("limit rate over" in text and link in text for text in
                   self.nft("list", "ruleset").split("chain "))

    def flood(self, address, count=400, size=1400):
        """Datagrams to a guest as fast as the node can send them."""
        run("ip", "netns", "exec", self.namespace, sys.executable, "-c", f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
    for _ in range({count}):
        to.sendto(bytes({size}), ("{address}", 9))
""")

    def answers(self, address):
        done = subprocess.run(["ip", "netns", "exec", self.namespace, "ping", "-c", "1", "-W", "1",
                               "-q", address], capture_output=True, check=False)
        return done.returncode == 0

    def bytes_unread(self):
        """The most that lies in one connection to libvirtd and was not read by it yet."""
        own = f"pid={self.pid_of('libvirtd')},"
        lines = run("ss", "-xpH") + run("ip", "netns", "exec", self.namespace, "ss", "-xpH")
        counts = [int(line.split()[2]) for line in lines.splitlines()
                  if own in line and line.split()[1] == "ESTAB"]
        return max(counts, default=0)

    def check(self, daemon, too_fast=()):
        """Domains, taps and neighbours equal the VMs exactly, routes those that run. `too_fast`:
        the links to whose guests more was sent than their limit lets pass."""
        vms = daemon.get("/v1/vms")["vms"]
        domains = self.domains()
        assert set(domains) == {domain_of(vm) for vm in vms}, (domains, vms)
        for vm in vms:
            is_on = vm["observed"]["state"] in ("RUNNING", "REACHABLE")
            assert (domains[domain_of(vm)] == "running") == is_on, (domains, vm)
        assert self.links() == {vm["link"] for vm in vms}, (self.links(), vms)
        on = {(address, vm["link"]) for vm in vms for address in addresses_of(vm)
              if domains[domain_of(vm)] == "running"}
        wait_until(f"the routes are those of guests that run, {on}", lambda: self.routes() == on)
        assert self.neighbours() == {(address, vm["link"], vm["mac"]) for vm in vms
                                     for address in addresses_of(vm)}, (
            self.neighbours(), vms)
        senders, dropped = self.filter()
        assert senders == {(vm["link"], one) for vm in vms
                           for one in (vm["mac"], *addresses_of(vm))}, (senders, vms)
        # An honest guest only asks for addresses and routers; no counter outlives its port.
        counted = {(link, int(reason)) for link, reason in dropped}
        assert {link for link, _ in counted} <= self.links(), counted
        assert {(link, reason) for link, reason in counted
                if reason not in (DHCP_REQUEST, IPV6_REQUEST)} == {
                    (link, TOO_FAST_TO_GUEST) for link in too_fast}, counted
        guests = self.guest_processes()
        assert len(guests) == list(domains.values()).count("running"), (guests, domains)

    def guest_processes(self):
        """Every QEMU in this node's cgroups that runs a guest, whether libvirtd knows it or not."""
        found = set()
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes()
                groups = (entry / "cgroup").read_text()
            except OSError:
                continue
            # libvirtd also runs QEMU to ask it what it can do: without a guest's name.
            if b"qemu-system" in words.split(b"\0")[0] and b"guest=" in words and (
                    re.search(rf"/{self.namespace}(/|$)", groups, re.MULTILINE)):
                found.add(int(entry.name))
        return found

    def clean(self):
        """Whatever a failed test left, so that the next one begins with an empty node."""
        self.resume()
        self.held.unlink(missing_ok=True)
        self.up()
        for name, state in self.domains().items():
            if state != "shut off":
                self.virsh("destroy", name, check=False)
            self.virsh("undefine", name, check=False)
        for link in self.links():
            run("ip", "-n", self.namespace, "link", "delete", link)


def addresses_of(vm):
    """All that are its own, without those of networks behind it."""
    further = [one for one in vm["furtherAddresses"] if "/" not in one]
    return [vm["address"], vm["address6"], *further]


def held_by(vm):
    """How many addresses its network's ledger has for it."""
    further = map(ipaddress.ip_network, vm["furtherAddresses"])
    return 1 + sum(one.num_addresses for one in further if one.version == 4)


def domain_of(vm):
    return "orrery-" + vm["id"].removeprefix("vm_")


class Site:
    """One orreryd that drives one node, with a fresh directory; its cluster and network exist."""

    def __init__(self, folder, node, images, acceleration, prefix=PREFIX):
        self.node = node
        self.folder = pathlib.Path(folder)
        self.consoles = self.folder / "console"
        self.consoles.mkdir(mode=0o700, parents=True)
        self.secrets, self.routing = self.folder / "secrets", self.folder / "routing"
        self.secrets.mkdir(mode=0o700)
        self.folder.chmod(0o755)  # the routing daemon's user passes it
        self.daemon = Daemon(self.folder, f"""
[kvm]
image_directory = "{images}"
console_directory = "{self.consoles}"
domain_type = "{acceleration}"
secrets_directory = "{self.secrets}"
routing_directory = "{self.routing}"
""").start()
        self.daemon.change("POST", "/v1/clusters", {"name": "c1", "hypervisor": "kvm"})
        self.daemon.change("POST", "/v1/nodes", {
            "name": "n1", "cluster": "c1", "libvirtSocket": str(node.socket),
            "networkNamespace": node.namespace})
        make_network(self.daemon, 1, prefix, prefix6=PREFIX6)
        self.await_node()

    def await_node(self, state="CONNECTED"):
        wait_until(f"the node is {state}",
                   lambda: self.daemon.get("/v1/nodes/n1")["state"] == state)

    def body(self, name="web-1", image="good"):
        return {"name": name, "cluster": "c1", "network": "net1", "image": image, "vcpus": 1,
                "memoryMib": MEMORY_MIB}

    def create(self, name="web-1", image="good"):
        """A VM that answers."""
        job = self.daemon.change("POST", "/v1/vms", self.body(name, image))
        self.done(job, "reachable")
        return self.daemon.vm(name)

    def act(self, verb, name="web-1"):
        """start, shutdown, stop or delete, to its end."""
        job = self.begin(verb, name)
        return self.done(job)

    def begin(self, verb, name="web-1"):
        if verb == "delete":
            return self.daemon.change("DELETE", f"/v1/vms/{name}")
        return self.daemon.change("POST", f"/v1/vms/{name}:{verb}")

    def done(self, job, step=None):
        ended = self.daemon.ended(job["id"])
        assert ended["state"] == "DONE", ended
        if step:
            assert ended["steps"][-1]["name"] == step, ended
        return ended

    def observed(self, name="web-1"):
        return self.daemon.vm(name)["observed"]

    def await_observed(self, state, cause=None, name="web-1"):
        self.daemon.await_vm(name, state)
        if cause:
            assert self.observed(name)["cause"] == cause, self.observed(name)

    def restart(self):
        """kill -9, and a new one that has the node in its hands."""
        self.daemon.kill()
        self.daemon.start()
        self.await_serving()

    def await_serving(self):
        self.await_node()

        # A console is read only from a node whose ports and guests were looked at.
        def serves():
            vms = self.daemon.get("/v1/vms")["vms"]
            if not vms:
                return True
            status, _, _ = self.daemon.request("GET", f"/v1/vms/{vms[0]['name']}/console")
            return status == 200
        wait_until("the node is served", serves)

    def console(self, name="web-1", lines=200):
        return self.daemon.get(f"/v1/vms/{name}/console?lines={lines}")["lines"]

    def taken(self):
        """(processors, MiB, addresses) that are given out."""
        cluster = self.daemon.get("/v1/clusters/c1")
        subnet = self.daemon.get("/v1/networks/net1")["subnets"][0]
        return cluster["vcpusTaken"], int(cluster["memoryMibTaken"]), subnet["addressesTaken"]

    def check_books(self):
        """One capacity a VM, and no address that is not a VM's."""
        vms = self.daemon.get("/v1/vms")["vms"]
        books = len(vms), len(vms) * MEMORY_MIB, sum(map(held_by, vms))
        assert self.taken() == books, (self.taken(), books)

    def check(self, too_fast=()):
        self.check_books()
        self.node.check(self.daemon, too_fast)

    def clear(self):
        """Deletes every VM; nothing is left of them."""
        for vm in self.daemon.get("/v1/vms")["vms"]:
            self.act("delete", vm["name"])
        self.check()
        assert not list(self.consoles.iterdir()), list(self.consoles.iterdir())

    def finish(self):
        """What each test ends with."""
        self.check()
        self.daemon.finish(with_worlds=False)

    def end(self):
        if self.daemon.process and not self.daemon.is_dead():
            self.daemon.kill()
        for file in self.routing.glob("*/bird.pid"):  # of a test that failed
            pid = file.read_text().strip()
            if pid and is_alive(pid):
                os.kill(int(pid), signal.SIGKILL)


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)


def stays(what, condition, seconds):
    """That something does not happen can only be watched for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"no longer so: {what}"
        time.sleep(0.1)
