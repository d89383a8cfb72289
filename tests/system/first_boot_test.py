#!/usr/bin/env python3
"""Real guests on real nodes: they answer, and no kill of anything breaks what is known of them.

Each test has an orreryd and a log of its own, and one of two virtual nodes; it ends with the
invariants, with projections that were rebuilt to the same bytes, and with the node itself being
asked: domains, taps, routes and neighbours equal VMs. ORRERY_SEED repeats the moments of a run.
"""

import os
import pathlib
import pwd
import queue
import random
import signal
import sys
import tempfile
import threading
import time

from harness import Died, fresh_key, micros_of, run_tests, seed, wait_until
from initramfs import with_files
from told_routers import routers_are_told_of_guests_that_run
from virtual_node import (LIB, MEMORY_MIB, Site, VirtualNode, domain_of, is_alive, remove, run,
                          stays)

ROUNDS = 5
# How long something that must not happen is watched for; the actors look four times a second.
WATCH = 3
# What QEMU may use beside its guest's memory: drivers/libvirt/libvirt_hypervisor.cpp.
OVERHEAD_MIB = {"tcg": 1536, "kvm": 512}


FOLDERS = pathlib.Path("/var/tmp")
FOLDER_PREFIX = "orrery-first-boot-"


# --- an orreryd begins and ends ------------------------------------------------------------------


def on_a_node(test, **settings):
    """Runs a test with a node to itself and a fresh site; shows the logs when it fails."""
    def body():
        node = lab.nodes.get()
        folder = pathlib.Path(tempfile.mkdtemp(prefix="site-", dir=lab.folder))
        site = None
        try:
            site = Site(folder, node, lab.images, lab.acceleration, **settings)
            note = test(site)
            site.finish()
            return note
        except BaseException:
            if site:
                print(f"--- orreryd of {test.__name__}\n{site.daemon.last_errors()}", flush=True)
            raise
        finally:
            if site:
                site.end()
            node.clean()
            lab.nodes.put(node)
    return test.__name__, body


def runs(pid, word):
    """A process with that id lives and has the word on its command line."""
    try:
        return word.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


# What pingers take for their own: an address and one of a prefix, by IPv4 and IPv6.
FURTHER = ("10.99.0.20", "fd00:99::14", "10.99.0.65", "fd00:99::41")


class Lab:
    """The two nodes, the images, and how guests run here."""

    def __init__(self):
        # Guests run as libvirt-qemu and read their image in it.
        self.folder = FOLDERS / f"{FOLDER_PREFIX}{os.getpid()}"
        self.images = self.folder / "images"
        self.nodes = queue.Queue()
        self.all_nodes = [VirtualNode(self.folder, f"fb{os.getpid()}{one}") for one in "ab"]

    def prepare(self):
        self.remove_dead_runs()
        self.folder.mkdir(mode=0o755)
        run(LIB / "guest-image", self.images, "good")
        run(LIB / "guest-image", "--broken", self.images, "broken")
        self.make_pinger()
        said = run(LIB / "probe-acceleration", self.images / "good").splitlines()
        self.acceleration = said[0]
        print(f"guests: {said[0]}: {said[1]}", flush=True)
        for node in self.all_nodes:
            node.prepare()
            self.nodes.put(node)

    def make_pinger(self):
        """The good image, and three processes in it, which begin when it has its addresses: one
        asks two neighbours until they answer, by IPv4 and IPv6; one asks by DHCP again and again;
        one takes addresses for the guest's own, whosever they are."""
        files = self.folder / "pinger"
        files.mkdir()
        script = files / "ping-neighbours"
        script.write_text("""#!/bin/busybox sh
export PATH=/bin
mount -t devtmpfs dev /dev
await_addresses() {
  until [ -e /sys/class/net/eth0 ]; do sleep 1; done
  until ip -6 address show dev eth0 scope global | grep -q fd00:; do sleep 1; done
}
(
  await_addresses
  for address in """ + " ".join(FURTHER) + """; do ip address add $address dev lo; done
) &
(
  await_addresses
  for address in 10.99.0.2 10.99.0.3 fd00:99::2 fd00:99::3; do
    until ping -c 1 -W 1 $address >/dev/null 2>&1; do sleep 1; done
    echo "orrery-guest: $address answered"
  done
) &
(
  await_addresses
  while sleep 2; do
    udhcpc -i eth0 -n -q -t 2 -O mtu -s /told >/asked 2>&1 || cat /asked >/dev/console
  done
) &
exec /init
""")
        told = files / "told"
        told.write_text("""#!/bin/busybox sh
[ "$1" = bound ] || exit 0
echo "orrery-guest: told $ip mtu $mtu dns $dns" >/dev/console
""")
        for one in (script, told):
            one.chmod(0o755)
        good, image = self.images / "good", self.images / "pinger"
        image.mkdir()
        (image / "vmlinuz").write_bytes((good / "vmlinuz").read_bytes())
        (image / "initrd").write_bytes(with_files((good / "initrd").read_bytes(), files))
        (image / "cmdline").write_text(f"rdinit=/{script.name}\n")

    @staticmethod
    def remove_dead_runs():
        """A run that was killed could not clean up behind itself."""
        for folder in FOLDERS.glob(f"{FOLDER_PREFIX}*"):
            if runs(folder.name.removeprefix(FOLDER_PREFIX), pathlib.Path(__file__).name):
                continue
            for file in folder.glob("site-*/data/orreryd.pid"):
                pid = file.read_text().strip()
                if runs(pid, str(folder)):
                    os.kill(int(pid), signal.SIGKILL)
            for node in (folder / "nodes").glob("fb*"):
                run(LIB / "node-down", node.name, "--dir", node.parent)
            remove(folder)

    def down(self):
        for node in self.all_nodes:
            if node.directory.is_dir():
                node.down()
        remove(self.folder)


# --- tests ---------------------------------------------------------------------------------------


def check_confinement(pid):
    """The process is nobody, may do little, and has its limits. Tells the kind of cgroup."""
    status = dict(line.split(":", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    uid = str(pwd.getpwnam("libvirt-qemu").pw_uid)
    assert status["Uid"].split() == [uid] * 4, status["Uid"]
    assert status["Seccomp"].strip() == "2", status["Seccomp"]
    assert int(status["CapEff"], 16) == 0, status["CapEff"]
    limit = (MEMORY_MIB + OVERHEAD_MIB[lab.acceleration]) << 20
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            group = pathlib.Path("/sys/fs/cgroup/memory" + path)
            assert int((group / "memory.limit_in_bytes").read_text()) == limit, group
            return "cgroup v1"
        if not controllers and not pathlib.Path("/sys/fs/cgroup/memory").is_dir():
            group = pathlib.Path("/sys/fs/cgroup" + path)
            while not (group / "memory.max").exists() or (
                    (group / "memory.max").read_text().strip() == "max"):
                assert len(group.parts) > len(pathlib.Path("/sys/fs/cgroup").parts), path
                group = group.parent
            assert int((group / "memory.max").read_text()) == limit, group
            return "cgroup v2"
    raise AssertionError(f"QEMU {pid} has no limit of memory")


def a_guest_answers_and_goes_without_a_trace(site):
    daemon, node = site.daemon, site.node
    vm = site.create()
    assert vm["observed"]["state"] == "REACHABLE", vm
    assert node.answers(vm["address"])
    lines = wait_until("the guest says that it is ready",
                       lambda: [one for one in site.console() if "ready" in one])
    assert f"orrery-guest: ready {vm['address']}" in lines, lines
    kind = check_confinement(node.guest_pid(vm))
    site.check()
    site.done(site.begin("shutdown"))
    site.await_observed("STOPPED", "GUEST")
    assert any("power button" in one for one in site.console()), site.console()
    site.check()
    site.done(site.begin("start"), "reachable")
    assert node.answers(vm["address"])
    site.act("stop")
    site.await_observed("STOPPED", "HOST")
    site.check()
    site.clear()
    assert daemon.vm("web-1") is None
    assert not node.domains() and not node.links() and not node.routes()
    return kind


def moments(duration, random_numbers):
    """One in each fifth of an operation; squared, since its verbs are at its beginning."""
    return [duration * ((one + random_numbers.random()) / ROUNDS) ** 2 for one in range(ROUNDS)]


def libvirtd_dies_by_itself(site):
    """The lab's own guard: without it a rare death of libvirtd would fail some other test."""
    node = site.node
    vm = site.create()
    before = node.deaths
    os.kill(node.pid_of("libvirtd"), signal.SIGSEGV)
    wait_until("the guard saw it", lambda: node.deaths == before + 1)
    wait_until("the guest is known again",
               lambda: site.observed()["state"] in ("RUNNING", "REACHABLE"))
    assert node.answers(vm["address"])
    site.await_node()
    site.check()
    site.clear()


def kill_during(site, method, path, body, moment):
    """Asks for a change, kills orreryd that long afterwards, starts it, and does what a client
    does: repeats the request with its key if it got no answer."""
    daemon, key, answers = site.daemon, fresh_key(), []

    def ask():
        try:
            answers.append(daemon.request(method, path, body, {"Idempotency-Key": key}))
        except Died:
            pass

    asker = threading.Thread(target=ask)
    asker.start()
    time.sleep(moment)
    daemon.kill()
    asker.join()
    daemon.start()
    if not answers:
        answers.append(daemon.request(method, path, body, {"Idempotency-Key": key}))
    status, _, reply = answers[0]
    assert status == 202, (status, reply)
    daemon.settle()


def check_jobs(site, kind, count):
    jobs = [one for one in site.daemon.get("/v1/jobs")["jobs"] if one["kind"] == kind]
    assert len(jobs) == count and all(one["state"] == "DONE" for one in jobs), jobs


def within(limit, value):
    """The value once it is true, or the last false one."""
    end = time.monotonic() + limit
    while not value() and time.monotonic() < end:
        pass
    return value()


def timed(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


def orreryd_is_killed_in_create_and_delete(site):
    numbers = random.Random(lab.seed)
    create = timed(site.create)
    delete = timed(lambda: site.act("delete"))
    done = []
    for count, (one, other) in enumerate(zip(moments(create, numbers), moments(delete, numbers))):
        done += [f"{one:.2f}", f"{other:.2f}"]
        kill_during(site, "POST", "/v1/vms", site.body(), one)
        check_jobs(site, "vm.create", count + 2)
        vms = site.daemon.get("/v1/vms")["vms"]
        assert len(vms) == 1 and vms[0]["observed"]["state"] == "REACHABLE", vms
        assert site.node.answers(vms[0]["address"])
        site.check()
        kill_during(site, "DELETE", "/v1/vms/web-1", None, other)
        check_jobs(site, "vm.delete", count + 2)
        assert not site.daemon.get("/v1/vms")["vms"]
        site.check()
    return f"killed after {', '.join(done)} s of {create:.2f} and {delete:.2f}"


def orreryd_is_killed_in_stop(site):
    numbers = random.Random(lab.seed + 1)
    site.create()
    stop = timed(lambda: site.act("stop"))
    done = []
    for count, one in enumerate(moments(stop, numbers)):
        done.append(f"{one:.3f}")
        site.act("start")
        kill_during(site, "POST", "/v1/vms/web-1:stop", None, one)
        check_jobs(site, "vm.stop", count + 2)
        site.await_observed("STOPPED", "HOST")
        site.check()
    site.clear()
    return f"killed after {', '.join(done)} s of {stop:.3f}"


def is_off_and_stays_off(site, cause):
    """Seen off for that reason; nobody starts it, and a new orreryd does not either."""
    site.await_observed("STOPPED", cause)
    vm = site.daemon.vm("web-1")
    assert vm["desired"] == "RUNNING", vm
    stays("it is off", lambda: site.observed()["state"] == "STOPPED", WATCH)
    site.restart()
    stays("it is off", lambda: site.observed() == vm["observed"], WATCH)
    assert site.node.domains() == {domain_of(vm): "shut off"}
    site.check()


def qemu_is_killed(site):
    vm = site.create()
    pid = site.node.guest_pid(vm)
    before = time.time()
    os.kill(pid, signal.SIGKILL)
    site.await_observed("STOPPED", "CRASHED")
    seen = micros_of(site.observed()["at"]) / 1_000_000
    assert before - 0.001 <= seen <= time.time(), (before, seen)
    is_off_and_stays_off(site, "CRASHED")
    site.done(site.begin("start"), "reachable")
    assert site.node.answers(vm["address"])
    assert site.node.guest_pid(vm) != pid
    site.check()
    site.clear()
    return f"seen after {(seen - before) * 1000:.0f} ms"


def types_of_events(site):
    events = site.daemon.get(f"/v1/events?resource={site.daemon.vm('web-1')['id']}")["events"]
    return [one["type"] for one in events]


def libvirtd_is_killed(site):
    node = site.node
    vm = site.create()
    pid = node.guest_pid(vm)
    known = len(types_of_events(site))
    node.kill_libvirtd()
    site.await_node("UNREACHABLE")
    site.await_observed("UNKNOWN")
    assert site.observed()["reason"], site.observed()
    assert node.answers(vm["address"])
    assert site.daemon.vm("web-1")["desired"] == "RUNNING"
    node.up()
    site.await_node()
    site.await_observed("REACHABLE")
    assert node.guest_pid(vm) == pid and is_alive(pid)
    assert node.answers(vm["address"])
    new = types_of_events(site)[known:]
    assert not [one for one in new if "stopped" in one or "absent" in one], new
    site.check()
    # Dead together, which nobody but libvirt's own record of the guest can tell afterwards.
    node.kill_libvirtd()
    site.await_observed("UNKNOWN")
    os.kill(pid, signal.SIGKILL)
    node.up()
    site.await_node()
    site.await_observed("STOPPED", "CRASHED")
    site.check()
    site.clear()
    return f"events {', '.join(new)}"


def libvirtd_is_killed_in_create(site):
    """The job ends, and there is one guest of it or none."""
    node, daemon = site.node, site.daemon
    job = daemon.change("POST", "/v1/vms", site.body())
    start = timed(lambda: site.await_observed("RUNNING"))
    site.act("delete")
    assert daemon.ended(job["id"])["state"] == "CANCELLED"
    done = []
    for moment in moments(start, random.Random(lab.seed + 3))[::2]:
        job = daemon.change("POST", "/v1/vms", site.body())
        time.sleep(moment)
        node.kill_libvirtd()
        site.await_node("UNREACHABLE")
        node.up()
        site.await_node()
        site.done(job, "reachable")
        assert node.answers(daemon.vm("web-1")["address"])
        site.check()
        site.act("delete")
        site.check()
        done.append(f"{moment:.2f}")
    site.clear()
    return f"killed after {', '.join(done)} s of {start:.2f}"


FOREIGN = """<domain type='qemu'><name>orrery-of-somebody</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"""


def virsh_goes_behind_our_back(site):
    node = site.node
    (site.folder / "foreign.xml").write_text(FOREIGN)
    node.virsh("define", site.folder / "foreign.xml")
    node.virsh("start", "orrery-of-somebody")
    foreign = node.virsh("dumpxml", "orrery-of-somebody")
    vm = site.create()
    node.virsh("destroy", domain_of(vm))
    site.await_observed("STOPPED", "HOST")
    assert site.daemon.vm("web-1")["desired"] == "RUNNING"
    stays("it is off", lambda: site.observed()["state"] == "STOPPED", WATCH)
    node.virsh("undefine", domain_of(vm))
    site.await_observed("ABSENT")
    stays("it is not defined", lambda: domain_of(vm) not in node.domains(), WATCH)
    site.restart()
    assert site.observed()["state"] == "ABSENT", site.observed()
    site.done(site.begin("start"), "reachable")
    assert site.daemon.vm("web-1")["address"] == vm["address"]
    assert node.answers(vm["address"])
    site.act("delete")
    assert node.virsh("dumpxml", "orrery-of-somebody") == foreign
    assert node.domains() == {"orrery-of-somebody": "running"}
    node.virsh("destroy", "orrery-of-somebody")
    node.virsh("undefine", "orrery-of-somebody")
    site.clear()


def libvirtd_still_starts_for_a_killed_orreryd(site):
    """The start of the dead one is under way in libvirtd when its successor is told to delete."""
    node = site.node
    node.hold.touch()
    site.daemon.change("POST", "/v1/vms", site.body())
    wait_until("libvirtd is busy", node.held.exists)
    site.daemon.kill()
    site.daemon.start()
    site.await_node()
    job = site.begin("delete")
    stays("nothing is given back", lambda: site.taken() == (1, MEMORY_MIB, 1), WATCH)
    # And a third one, while the second waits in libvirtd as well.
    site.daemon.kill()
    site.daemon.start()
    site.await_node()
    stays("nothing is given back", lambda: site.taken() == (1, MEMORY_MIB, 1), WATCH)
    node.hold.unlink()
    site.done(job, "removed")
    assert node.held.read_text().count("\n") == 1, "started twice"
    site.clear()
    stays("nothing comes back", lambda: not node.domains() and not node.guest_processes(), WATCH)


def libvirtd_hangs_while_orreryd_is_killed(site):
    """libvirtd is stopped in the middle of a create: what the dead one sent is read only when its
    successor's delete is under way."""
    node, daemon = site.node, site.daemon
    numbers = random.Random(lab.seed + 2)
    job = daemon.change("POST", "/v1/vms", site.body())
    start = timed(lambda: site.await_observed("RUNNING"))
    site.act("delete")
    assert daemon.ended(job["id"])["state"] == "CANCELLED"
    done = []
    for moment in moments(start, numbers):
        daemon.change("POST", "/v1/vms", site.body())
        time.sleep(moment)
        node.pause_libvirtd()
        # What orreryd says next lies in the socket when it dies, unless it has nothing to say.
        unread = within(1, node.bytes_unread)
        daemon.kill()
        daemon.start()
        job = site.begin("delete")
        stays("nothing is given back", lambda: site.taken() == (1, MEMORY_MIB, 1), 1)
        node.resume()
        site.done(job, "removed")
        # A definition that was in the socket comes back all the same, and is swept; no guest does.
        stays("no guest comes back", lambda: not node.guest_processes(), 1)
        wait_until("nothing is left", lambda: not node.domains())
        site.check()
        done.append(f"{moment:.3f} s ({unread} bytes unread)")
    site.clear()
    return f"stopped after {', '.join(done)}"


def a_definition_without_a_vm_is_swept(site):
    """What a dead orreryd asked for may be done after the guest was seen gone."""
    node, xml = site.node, site.folder / "late.xml"
    vm = site.create()
    late = node.virsh("dumpxml", "--inactive", domain_of(vm))
    assert 'started="1"' in late, late
    site.act("delete")
    xml.write_text(late.replace('started="1"', 'started="0"'))
    node.virsh("define", xml)
    wait_until("it is swept", lambda: not node.domains())
    site.daemon.kill()
    node.virsh("define", xml)
    site.daemon.start()
    wait_until("it is swept at a start", lambda: not node.domains())
    # This one has run, so it may have data: it stays, and people are told.
    xml.write_text(late)
    node.virsh("define", xml)
    told = wait_until("people are told", lambda: [
        one for one in site.daemon.errors.read_text().splitlines() if "has no VM" in one])
    assert vm["id"] in told[0], told
    stays("it is left alone", lambda: node.domains() == {domain_of(vm): "shut off"}, 1)
    node.virsh("undefine", domain_of(vm))
    site.clear()


def a_guest_that_never_boots(site):
    """The only address of the network is nobody else's until the guest is seen gone."""
    node, daemon = site.node, site.daemon

    def refuse_another():
        problem = daemon.refused("POST", "/v1/vms", site.body("web-2", "good"))
        assert problem["code"] == "addresses_exhausted", problem
        assert site.taken() == (1, MEMORY_MIB, 1), site.taken()

    job = daemon.change("POST", "/v1/vms", site.body("web-1", "broken"))
    refuse_another()
    ended = daemon.ended(job["id"])
    assert ended["state"] == "FAILED" and ended["error"]["code"] == "timed_out", ended
    assert ended["steps"][-1]["name"] == "started", ended
    vm = daemon.vm("web-1")
    assert "orrery vm console web-1" in ended["error"]["text"], ended
    assert vm["address"] in ended["error"]["text"], ended
    assert any("no root file system found" in one for one in site.console(lines=20))
    assert vm["observed"]["state"] == "RUNNING", vm
    site.check()
    refuse_another()
    node.pause_libvirtd()
    job = site.begin("delete")
    stays("the address is taken", lambda: site.taken() == (1, MEMORY_MIB, 1), WATCH)
    refuse_another()
    node.resume()
    site.done(job, "removed")
    other = site.create("web-2", "good")
    assert other["address"] == vm["address"], (other, vm)
    assert node.answers(other["address"])
    site.clear()


def a_port_changed_by_hand_is_repaired(site):
    node = site.node
    vm = site.create()
    address, link = vm["address"], vm["link"]
    node.ip("route", "del", f"{address}/32", "dev", link)
    node.ip("neigh", "del", address, "dev", link)
    node.ip("link", "set", link, "down")
    node.nft("delete", "table", "netdev", "orrery_vp")
    assert not node.answers(address)
    site.restart()
    wait_until("the guest answers again", lambda: node.answers(address))
    site.check()
    said = site.daemon.errors.read_text()
    assert "drift repaired" in said and link in said and "filter" in said, said
    site.clear()


def two_guests_reach_each_other(site):
    node, daemon = site.node, site.daemon
    names = ["web-1", "web-2"]
    jobs = [daemon.change("POST", "/v1/vms", site.body(name, "pinger")) for name in names]
    for job in jobs:
        site.done(job, "reachable")
    vms = [daemon.vm(name) for name in names]
    assert {(vm["address"], vm["address6"]) for vm in vms} == {
        ("10.99.0.2", "fd00:99::2"), ("10.99.0.3", "fd00:99::3")}, vms

    def await_console(vm, words):
        wait_until(f"{vm['name']} says: {words}",
                   lambda: f"orrery-guest: {words}" in site.console(vm["name"]))
    for vm in vms:
        assert node.answers(vm["address"])
        for other in vms:
            for address in (other["address"], other["address6"]):
                await_console(vm, f"{address} answered")
    # What is changed while guests run, they are told when they ask again.
    for settings, words in (("--mtu 1400 --name-server 192.0.2.53,192.0.2.54",
                             "mtu 1400 dns 192.0.2.53 192.0.2.54"),
                            ("--mtu 1300 --no-name-servers", "mtu 1300 dns ")):
        daemon.orrery("network", "set", "net1", *settings.split())
        for vm in vms:
            await_console(vm, f"told {vm['address']} {words}")
    assert not node.limits_rate(vms[0]["link"])
    daemon.orrery("vm", "rate", "web-1", "1M")
    wait_until("the rate is limited", lambda: node.limits_rate(vms[0]["link"]))
    # Of what is sent at once a second's passes, and the rest is counted.
    site.check()
    node.flood(vms[0]["address"])
    site.check(too_fast=[vms[0]["link"]])
    daemon.orrery("vm", "rate", "web-1", "none")
    wait_until("it is not limited any more", lambda: not node.limits_rate(vms[0]["link"]))
    site.check(too_fast=[vms[0]["link"]])
    further_addresses_answer_and_change_hands(site, too_fast=[vms[0]["link"]])
    site.clear()


def further_addresses_answer_and_change_hands(site, too_fast):
    """Of two guests that both take FURTHER for their own."""
    node, daemon = site.node, site.daemon
    one, one6, behind, behind6 = FURTHER
    assert not any(map(node.answers, FURTHER))
    for wish in (one, "10.99.0.64/28"):
        daemon.orrery("vm", "add-address", "web-2", wish)
    for address in FURTHER:
        wait_until(f"{address} answers", lambda address=address: node.answers(address))
    site.check(too_fast)
    said = daemon.refused("POST", "/v1/vms/web-1:addAddress", {"address": behind})
    assert said["code"] == "conflict" and "held by a VM" in said["detail"], said
    daemon.orrery("vm", "remove-address", "web-2", one)
    wait_until("it is free", lambda: one not in daemon.vm("web-2")["furtherAddresses"])
    assert not node.answers(one) and not node.answers(one6)
    daemon.orrery("vm", "add-address", "web-1", one)
    for address in FURTHER:
        wait_until(f"{address} answers", lambda address=address: node.answers(address))
    site.check(too_fast)
    assert daemon.vm("web-1")["furtherAddresses"] == [one, one6]
    assert daemon.vm("web-2")["furtherAddresses"] == ["10.99.0.64/28", "fd00:99::40/124"]


lab = Lab()


def main():
    # A test that is told to end takes its nodes along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    lab.seed = seed().randrange(1 << 32)
    try:
        lab.prepare()
        # The longest first, since two run at a time.
        return run_tests([
            on_a_node(a_guest_that_never_boots, prefix="10.99.0.0/30"),
            on_a_node(routers_are_told_of_guests_that_run),
            on_a_node(orreryd_is_killed_in_create_and_delete),
            on_a_node(orreryd_is_killed_in_stop),
            on_a_node(a_guest_answers_and_goes_without_a_trace),
            on_a_node(qemu_is_killed),
            on_a_node(libvirtd_is_killed),
            on_a_node(libvirtd_is_killed_in_create),
            on_a_node(libvirtd_dies_by_itself),
            on_a_node(virsh_goes_behind_our_back),
            on_a_node(libvirtd_still_starts_for_a_killed_orreryd),
            on_a_node(libvirtd_hangs_while_orreryd_is_killed),
            on_a_node(a_definition_without_a_vm_is_swept),
            on_a_node(a_port_changed_by_hand_is_repaired),
            on_a_node(two_guests_reach_each_other),
        ], workers=2)
    finally:
        lab.down()


if __name__ == "__main__":
    sys.exit(main())
