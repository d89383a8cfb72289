#!/usr/bin/env python3
"""Several orreryd on one log on a real Kafka: any takes changes, one owns, another takes over.

Usage: shared_log_test.py [PART OF A TEST'S NAME …]
"""

import pathlib
import shutil
import signal
import subprocess
import sys
import threading

from harness import (Daemon, SIMULATED, make_site, partition_of, program, run_tests, scratch,
                     vm_body, wait_until)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kafka"))
from cluster import cluster, random_id  # noqa: E402 (the path comes first)

BROKERS = None  # one Kafka for all tests; each has topics of its own


class Site:
    """Processes that share a fresh log and a simulated world."""

    def __init__(self, folder, count, partitions=3):
        self.folder = folder
        self.prefix = "t" + random_id().replace("_", "x").replace("-", "y")
        made = subprocess.run(
            [program("orrery"), "log", "init", "--kafka", BROKERS.servers(), "--prefix",
             self.prefix, "--partitions", str(partitions), "--replication", "1"],
            capture_output=True, text=True, timeout=120, check=False)
        assert made.returncode == 0, made
        self.daemons = [self.daemon(number) for number in range(count)]
        for one in self.daemons:
            one.start()

    def daemon(self, number):
        return Daemon(
            f"{self.folder}/{number}",
            f'[kafka]\nservers = "{BROKERS.servers()}"\nprefix = "{self.prefix}"\n'
            "replication = 1\n" + SIMULATED.format(directory=self.folder))

    def living(self):
        return [one for one in self.daemons if not one.is_dead()]

    def owner(self, where=1):
        """Who owns a partition, once somebody does: by default that of the first cluster."""
        def look():
            for one in self.living():
                if where in owned_by(one):
                    return one
            return None
        return wait_until(f"somebody owns partition {where}", look)

    def others(self, but):
        return [one for one in self.daemons if one is not but and not one.is_dead()]

    def finish(self):
        """All agree; the invariants hold; and a rebuild of the projections from the topic gives the
        same answers, at each process."""
        living = self.living()
        living[0].settle()
        def agree():
            digests = [one.get("/v1/status?digest=true")["stateDigest"] for one in living]
            return len(set(digests)) == 1
        wait_until("all fold the same state", agree)
        for one in living:
            one.stop()
        world = pathlib.Path(self.folder, "simulated")
        checked = subprocess.run(
            [program("check_log"), "--kafka", BROKERS.servers(), "--prefix", self.prefix,
             *(part for one in sorted(world.iterdir()) for part in ("--world", str(one)))],
            capture_output=True, text=True, timeout=120, check=False)
        assert checked.returncode == 0, checked
        digest = checked.stdout.split()[1]
        told = []
        for one in self.daemons:
            for _ in range(2):
                one.start("--read-only")
                assert one.get("/v1/status?digest=true")["stateDigest"] == digest
                told.append(one.everything())
                one.stop()
                shutil.rmtree(one.data / "projections")
        assert all(one == told[0] for one in told)


def owned_by(daemon):
    """The partitions that a process owns."""
    return {one["partition"] for one in daemon.get("/v1/status")["partitions"]
            if one["standing"] == "owning"}


def owned_site(folder):
    """Two processes with a cluster, a node and a network: the site, its owner and the other one."""
    site = Site(folder, 2)
    owner = site.owner()
    make_site(owner)
    return site, owner, site.others(owner)[0]


def any_process_takes_changes_and_all_agree():
    with scratch() as folder:
        site = Site(folder, 2)
        owner = site.owner()
        other = site.others(owner)[0]
        make_site(other)
        other.ended(other.change("POST", "/v1/vms", vm_body())["id"])
        owner.ended(owner.change("POST", "/v1/vms", vm_body("web-2"))["id"])
        assert other.vm_state("web-1") == owner.vm_state("web-1")
        site.finish()


def a_key_used_at_two_processes_takes_effect_once():
    with scratch() as folder:
        site = Site(folder, 2)
        make_site(site.daemons[0])
        first = site.daemons[0].change("POST", "/v1/vms", vm_body(), key="once")
        again = site.daemons[1].change("POST", "/v1/vms", vm_body(), key="once")
        assert first["id"] == again["id"], (first, again)
        site.daemons[0].ended(first["id"])
        site.finish()


def a_killed_owner_is_replaced_and_no_answered_change_is_lost():
    with scratch() as folder:
        site, owner, other = owned_site(folder)
        answered = []

        def create():
            for number in range(20):
                answered.append(other.change("POST", "/v1/vms", vm_body(f"vm-{number}"))["id"])

        worker = threading.Thread(target=create)
        worker.start()
        wait_until("some are answered", lambda: len(answered) >= 5)
        owner.kill()
        worker.join()
        assert site.owner() is other
        assert len(answered) == 20 and len(set(answered)) == 20, answered
        for job in answered:
            other.ended(job)
        site.finish()


def a_stopped_owner_that_goes_on_does_no_harm():
    with scratch() as folder:
        site, owner, other = owned_site(folder)
        owner.process.send_signal(signal.SIGSTOP)
        try:
            job = other.change("POST", "/v1/vms", vm_body())["id"]
        finally:
            owner.process.send_signal(signal.SIGCONT)
        other.ended(job)
        site.finish()


def an_owner_that_ends_hands_over():
    with scratch() as folder:
        site, owner, other = owned_site(folder)
        owner.stop()
        assert site.owner() is other
        other.ended(other.change("POST", "/v1/vms", vm_body())["id"])
        owner.start()
        site.finish()


def partitions_are_shared_and_taken_over():
    with scratch() as folder:
        # So many that each of two has some, but for one in 30,000 runs.
        partitions = 16
        site = Site(folder, 2, partitions)
        one, other = site.daemons
        wait_until("both own some, and all are owned",
                   lambda: owned_by(one) and owned_by(other)
                   and len(owned_by(one) | owned_by(other)) == partitions)
        for number in range(1, 5):
            daemon = site.daemons[number % 2]
            make_site(daemon, prefix=f"10.{number}.0.0/24", number=number)
            daemon.ended(daemon.change("POST", "/v1/vms",
                                       vm_body(f"vm-{number}", number=number))["id"])
        clusters = {partition_of(cluster["id"]) for cluster in one.get("/v1/clusters")["clusters"]}
        assert len(clusters) == 4 and 0 not in clusters, clusters
        one.kill()
        job = other.change("POST", "/v1/clusters", {"name": "c5", "hypervisor": "simulated"})
        assert job["state"] == "DONE", job
        for number in range(1, 5):
            other.ended(other.change("POST", "/v1/vms/vm-%d:stop" % number)["id"])
        wait_until("one owns all", lambda: len(owned_by(other)) == partitions)
        one.start()
        wait_until("both own some again", lambda: owned_by(one) and owned_by(other)
                   and not owned_by(one) & owned_by(other))
        for number in range(1, 5):
            one.ended(one.change("POST", "/v1/vms/vm-%d:start" % number)["id"])
        site.finish()


TESTS = [
    any_process_takes_changes_and_all_agree,
    a_key_used_at_two_processes_takes_effect_once,
    a_killed_owner_is_replaced_and_no_answered_change_is_lost,
    a_stopped_owner_that_goes_on_does_no_harm,
    an_owner_that_ends_hands_over,
    partitions_are_shared_and_taken_over,
]

if __name__ == "__main__":
    BROKERS = cluster(1, False)
    sys.exit(run_tests(TESTS, after=[BROKERS.end]))
