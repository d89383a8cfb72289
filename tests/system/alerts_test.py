#!/usr/bin/env python3
"""What operators see: a real Prometheus with the product's rules over several orreryd, each with a
fault of its own. Each must raise its alerts and no others, and end them when it is mended; then
every query of the dashboard must have had an answer.

Usage: alerts_test.py [PART OF A TEST'S NAME …]
ORRERY_PICTURE=FILE.svg draws the dashboard of the run.
"""

import concurrent.futures
import json
import os
import pathlib
import sys
import threading
import time

import judge
import own_namespace
from clocks import moved_clock
from harness import (Died, EmbeddedLog, KafkaLog, ROOT, cluster, make_site, run_tests, scratch,
                     simulated_daemon, vm_body, wait_until)
from monitoring import DASHBOARD, Prometheus, SHORTER, draw_dashboard, panels
from small_disk import SmallDisk

BROKERS = None  # one Kafka, for the site whose log somebody else writes to
AT_ONCE = 4  # installations that are started, broken or mended at the same time
CALM = 8  # seconds without another alert: longer than most of the shortened waits


class Site:
    """One installation of one orreryd, at the same port in all its lives."""

    expected = frozenset()  # the alerts of its fault
    ends_itself = False  # when nothing new happens
    arguments = ()
    node = None

    def __init__(self, folder):
        self.clients = []
        self.name = type(self).__name__.lower()
        self.folder = pathlib.Path(folder, self.name)
        self.folder.mkdir()
        self.daemon = simulated_daemon(self.folder, log=self.make_log())

    def begin(self):
        self.prepare()
        self.start(*self.arguments)
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(
            text.replace('"127.0.0.1:0"', f'"127.0.0.1:{self.daemon.port}"'))
        make_site(self.daemon, node=self.node)
        self.daemon.ended(self.daemon.change("POST", "/v1/vms", vm_body())["id"])

    def make_log(self):
        return EmbeddedLog()

    def prepare(self):
        pass

    def start(self, *arguments):
        self.daemon.start(*arguments)

    def inject(self):
        pass

    def mend(self):
        pass

    def ask_in_vain(self, count):
        """Clients who wait for changes that will not be answered."""
        def ask(number):
            try:
                self.daemon.request("POST", "/v1/vms", vm_body(f"late-{number}"), timeout=60)
            except Died:
                pass
        self.clients = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
        for one in self.clients:
            one.start()

    def begin_again(self, *arguments):
        self.daemon.kill()
        for one in self.clients:
            one.join()
        self.daemon.start(*arguments)

    def check(self):
        """Whatever was done to it, its log is right."""
        assert self.daemon.stop() == 0, self.daemon.last_errors()
        self.daemon.check_invariants()

    def end(self):
        if self.daemon.process:
            self.daemon.kill()


class Healthy(Site):
    """Has work all the time."""

    def __init__(self, folder):
        super().__init__(folder)
        self.is_over = threading.Event()
        self.worker = threading.Thread(target=self.work)

    def work(self):
        number = 0
        while not self.is_over.wait(0.5):
            number += 1
            name = f"vm-{number}"
            for method, path in (("POST", "/v1/vms"), ("POST", f"/v1/vms/{name}:stop"),
                                 ("DELETE", f"/v1/vms/{name}")):
                if method == "DELETE" and number % 3 == 0:
                    break
                body = vm_body(name) if path == "/v1/vms" else None
                self.daemon.ended(self.daemon.change(method, path, body)["id"])

    def inject(self):
        self.worker.start()

    def mend(self):
        self.is_over.set()
        self.worker.join()
        self.daemon.settle()

    def check(self):
        self.daemon.finish()

    def end(self):
        self.is_over.set()
        super().end()


class Killed(Site):
    expected = frozenset({"OrreryDown"})

    def inject(self):
        self.daemon.kill()

    def mend(self):
        self.daemon.start()


class Ownerless(Site):
    """The only process reads, and owns nothing."""

    expected = frozenset({"OrreryPartitionWithoutOwner"})

    def inject(self):
        self.begin_again("--read-only")

    def mend(self):
        self.begin_again()


class Silent(Site):
    """An owner that stands still in the middle of a commit."""

    expected = frozenset({"OrreryPartitionWithoutOwner"})
    arguments = ("--hang-on-signal", "partition.append.before")

    def inject(self):
        self.daemon.arm()
        self.ask_in_vain(8)
        wait_until("a partition is silent",
                   lambda: 'orrery_partitions{standing="silent"} 1\n' in metrics_of(self))

    def mend(self):
        self.begin_again()


class Node(Site):
    """Its only node cannot be reached: something else is where its guests are."""

    expected = frozenset({"OrreryNodeUnreachable", "OrreryVmsUnknown"})

    def inject(self):
        self.daemon.kill()
        self.world = pathlib.Path(self.daemon.worlds()[0])
        self.world.rename(self.folder / "away")
        self.world.write_text("no folder")
        self.daemon.start()

    def mend(self):
        self.world.unlink()
        (self.folder / "away").rename(self.world)


class Stuck(Site):
    """A projection stands still, while clients wait for their changes to be seen."""

    expected = frozenset({"OrreryProjectionStuck"})
    arguments = ("--hang-on-signal", "projection.write.before")

    def inject(self):
        self.daemon.arm()
        self.ask_in_vain(8)
        assert "orrery_projection_behind_seconds" in metrics_of(self)

    def mend(self):
        self.begin_again()


class Disk(Site):
    expected = frozenset({"OrreryDiskNearlyFull"})

    disk = None

    def prepare(self):
        self.disk = SmallDisk(self.folder / "disk", "64m")
        data = self.disk.folder / "data"
        text = self.daemon.config.read_text()
        self.daemon.config.write_text("log_segment_mib = 1\n"
                                      + text.replace(str(self.daemon.data), str(data)))
        self.daemon.data = data

    def inject(self):
        room = os.statvfs(self.disk.folder)
        free = room.f_bavail * room.f_frsize
        whole = room.f_blocks * room.f_frsize
        (self.disk.folder / "filler").write_bytes(b"x" * (free - whole * 7 // 100))

    def mend(self):
        (self.disk.folder / "filler").unlink()

    def end(self):
        super().end()
        if self.disk:
            self.disk.__exit__()


class Clock(Site):
    """Its clock jumps a year ahead."""

    expected = frozenset({"OrreryNoChangeTaken"})

    def start(self, *arguments):
        self.clock = self.folder / "clock"
        self.clock.write_text("+0\n")
        self.daemon.start(*arguments, environment=moved_clock(self.clock))

    def inject(self):
        self.clock.write_text("+365d\n")

    def mend(self):
        self.clock.write_text("+0\n")
        self.daemon.change("POST", "/v1/installation:trustClock")


class Foreign(Site):
    """Somebody else writes to its log."""

    expected = frozenset({"OrreryForeignRecords"})
    ends_itself = True

    def make_log(self):
        return KafkaLog(BROKERS.servers(), 3)

    def inject(self):
        BROKERS.produce(f"{self.daemon.log.prefix}.events", "something\n")


class Used(Site):
    """Its node has no processor left."""

    expected = frozenset({"OrreryCapacityNearlyExhausted"})
    node = {"vcpus": 2, "memoryMib": 4096}

    def inject(self):
        self.daemon.ended(self.daemon.change("POST", "/v1/vms", vm_body("last"))["id"])

    def mend(self):
        self.daemon.ended(self.daemon.change("DELETE", "/v1/vms/last")["id"])


SITES = (Healthy, Killed, Ownerless, Silent, Node, Stuck, Disk, Clock, Foreign, Used)


def metrics_of(site):
    """Within seconds, whatever else hangs."""
    status, _, text = site.daemon.request("GET", "/metrics", timeout=20)
    assert status == 200, text
    return text


class Watch:
    """What fires, asked again and again. One alert too many ends the test at once; only that a
    process which this test restarts is away may be told for a moment."""

    def __init__(self, prometheus, sites):
        self.prometheus = prometheus
        self.sites = sites
        self.fired = {site.name: set() for site in sites}  # at any time

    def look(self):
        """{site: the alerts that fire}."""
        firing = self.prometheus.firing()
        now = {site: firing.get(site.name, set()) for site in self.sites}
        for site, alerts in now.items():
            extra = alerts - site.expected - {"OrreryDown"}
            assert not extra, (site.name, extra)
            self.fired[site.name] |= alerts
        return now

    def are_as_expected(self):
        """All have fired that should, and still do if they do not end by themselves."""
        return all(alerts == site.expected or site.ends_itself and not alerts
                   and site.expected <= self.fired[site.name]
                   for site, alerts in self.look().items())

    def are_silent(self):
        return not any(self.look().values())

    def stays(self, condition):
        deadline = time.monotonic() + CALM
        while time.monotonic() < deadline:
            assert condition(), self.prometheus.firing()
            time.sleep(0.5)


def for_each(sites, what):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(what, sites))


def each_fault_raises_its_alerts_and_no_others():
    with scratch() as folder:
        sites = [kind(folder) for kind in SITES]
        try:
            for_each(sites, lambda site: site.begin())
            with Prometheus(pathlib.Path(folder, "prometheus"),
                            {site.name: site.daemon.port for site in sites}) as prometheus:
                began = time.time()
                broken = break_and_mend(prometheus, sites)
                look_at_dashboard(prometheus, began, broken)
                metrics_stand_in_the_documents(sites)
            for_each(sites, lambda site: site.check())
        finally:
            for_each(sites, lambda site: site.end())
        return f"{len(sites)} installations"


def break_and_mend(prometheus, sites):
    """The time when all faults were there."""
    watch = Watch(prometheus, sites)
    wait_until("all are seen", lambda: len(prometheus.ask("up == 1")) == len(sites))
    watch.stays(watch.are_silent)
    for_each(sites, lambda site: site.inject())
    wait_until("each fault raises its alerts", watch.are_as_expected)
    watch.stays(watch.are_as_expected)
    broken = time.time()
    for_each(sites, lambda site: site.mend())
    wait_until("all alerts end", watch.are_silent)
    return broken


def look_at_dashboard(prometheus, began, broken):
    """Every query has an answer; the picture ends before anything was mended."""
    def ask(query):
        return prometheus.ask_range(query, began, broken, 1)

    empty = [(title, query) for title, queries in panels() for query in queries
             if not ask(query)]
    assert not empty, empty
    if picture := os.environ.get("ORRERY_PICTURE"):
        board = json.loads(DASHBOARD.read_text())
        pathlib.Path(picture).write_text(
            draw_dashboard.draw(board, ask, (began, broken), SHORTER), encoding="utf-8")


def metrics_stand_in_the_documents(sites):
    """docs/metrics.md has a row for each metric that is shown, with its type and labels, and no
    other row."""
    shown = {}
    for site in sites:
        for line in metrics_of(site).splitlines():
            if line.startswith("# TYPE"):
                _, _, name, kind = line.split()
                shown.setdefault(name, (kind, set()))
            elif not line.startswith("#"):
                name, _, rest = line.partition("{")
                base = next((one for one in (name, name.rsplit("_", 1)[0]) if one in shown), None)
                labels = {part.split("=")[0] for part in rest.partition("}")[0].split(",")
                          if "=" in part}
                if base:
                    shown[base][1].update(labels - {"le"})
    told = {}
    for line in (ROOT / "docs" / "metrics.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[0].startswith("`"):
            told[cells[0].strip("`")] = (cells[1], set(cells[2].replace("`", "").split(", "))
                                         - {""})
    assert told == shown, {name: (told.get(name), shown.get(name))
                           for name in told.keys() | shown.keys()
                           if told.get(name) != shown.get(name)}


def the_dashboard_is_one_by_grafanas_schema():
    status, said = judge.judge("dashboard", DASHBOARD)
    assert status == 0, said
    board = json.loads(DASHBOARD.read_text())
    faults = {"expression": lambda one: one["targets"][0].update(
                  expression=one["targets"][0].pop("expr")),
              "colour": lambda one: one["options"].update(colour="red"),
              "gridPos": lambda one: one["gridPos"].update(w=25)}
    with scratch() as folder:
        for word, spoil in faults.items():
            spoiled = json.loads(json.dumps(board))
            spoil(spoiled["panels"][-1])
            file = pathlib.Path(folder, "spoiled.json")
            file.write_text(json.dumps(spoiled))
            status, said = judge.judge("dashboard", file)
            assert status == 1 and word in said, (word, said)


TESTS = [each_fault_raises_its_alerts_and_no_others, the_dashboard_is_one_by_grafanas_schema]

if __name__ == "__main__":
    own_namespace.enter("--mount")  # the small disk goes with us, however we end
    BROKERS = cluster(1, False)
    sys.exit(run_tests(TESTS, after=[BROKERS.end]))
