#!/usr/bin/env python3
"""kill -9 of orreryd at every named crash point of each operation, on the simulated driver.

After the restart a client repeats what got no answer, with the same key; then each job ends, there
is exactly one of everything or nothing of all, and rebuilt projections have the same bytes.
"""

import collections
import shutil
import subprocess
import sys
import threading

from harness import (IS_ON_KAFKA, Died, fresh_key, make_site, partition_of, program, run_tests,
                     scratch, simulated_daemon, vm_body, wait_until)

# A point may be passed several times in one operation; later passes are not more of the same. On
# Kafka, where each run needs a log of its own, the first must do.
PASSES = (1,) if IS_ON_KAFKA else (1, 2, 3)

hits = collections.Counter()
guard = threading.Lock()


def points():
    listed = subprocess.run([program("orreryd"), "--list-crash-points"], capture_output=True,
                            text=True, check=True)
    return [one for one in listed.stdout.split()
            if not (IS_ON_KAFKA and one.startswith("log."))]  # of the embedded log


def stopped_site(folder, with_vm):
    """A stopped daemon with a site, and perhaps a VM in it."""
    daemon = simulated_daemon(folder).start()
    make_site(daemon)
    if with_vm:
        job = daemon.change("POST", "/v1/vms", vm_body())
        assert daemon.ended(job["id"])["state"] == "DONE"
    daemon.stop()
    return daemon


class Template:
    """What each run begins from. A directory is made once and copied; a log on Kafka is made for
    each run."""

    def __init__(self, folder, with_vm):
        self.folder = folder
        self.with_vm = with_vm
        if not IS_ON_KAFKA:
            stopped_site(folder, with_vm)

    def copy(self, to):
        if IS_ON_KAFKA:
            return stopped_site(to, self.with_vm)
        shutil.copytree(self.folder, to, dirs_exist_ok=True)
        return simulated_daemon(to)


OPERATIONS = {
    "create": ("POST", "/v1/vms", vm_body()),
    "stop": ("POST", "/v1/vms/web-1:stop", None),
    "shutdown": ("POST", "/v1/vms/web-1:shutdown", None),
    "delete": ("DELETE", "/v1/vms/web-1", None),
    "cluster": ("POST", "/v1/clusters", {"name": "c2", "hypervisor": "simulated"}),
    "network": ("POST", "/v1/networks", {"name": "net2", "cluster": "c1",
                                         "prefix": "10.98.0.0/24"}),
    "free-network": ("DELETE", "/v1/networks/net1", None),
}
# What several partitions decide together, and no driver knows of.
ACROSS_PARTITIONS = ("cluster", "network", "free-network")
JOB_KINDS = {"network": "network.create", "free-network": "network.delete"}


def points_of(operation):
    """A driver does not know which log there is, so on Kafka two operations are enough of it."""
    is_of_the_log = operation in ACROSS_PARTITIONS or (
        IS_ON_KAFKA and operation in ("stop", "shutdown"))
    return [one for one in points() if not (is_of_the_log and is_of_a_driver(one))]


def is_of_a_driver(point):
    return point.startswith(("driver.", "port."))


def is_as_wished(daemon, operation):
    if operation == "cluster":  # decided in one partition, made in another
        clusters = {one["name"]: one["id"] for one in daemon.get("/v1/clusters")["clusters"]}
        assert sorted(clusters) == ["c1", "c2"], clusters
        assert partition_of(clusters["c1"]) != partition_of(clusters["c2"]), clusters
        return
    if operation.endswith("network"):  # in one partition, its prefix in another
        there = {one["name"]: one for one in daemon.get("/v1/networks")["networks"]}
        wanted = ["net1", "net2"] if operation == "network" else []
        assert sorted(there) == wanted, there
        assert all(one["state"] == "READY" for one in there.values()), there
        assert daemon.get("/v1/installation")["prefixes"] == len(wanted)
        return
    vm = daemon.vm("web-1")
    if operation == "delete":
        assert vm is None, vm
        cluster = daemon.get("/v1/clusters/c1")
        assert cluster["vcpusTaken"] == 0 and cluster["memoryMibTaken"] == "0", cluster
        assert daemon.get("/v1/networks/net1")["subnets"][0]["addressesTaken"] == 0
        return
    assert len(daemon.get("/v1/vms")["vms"]) == 1
    assert vm["observed"]["state"] == ("REACHABLE" if operation == "create" else "STOPPED"), vm
    assert daemon.get("/v1/clusters/c1")["vcpusTaken"] == 1
    assert daemon.get("/v1/networks/net1")["subnets"][0]["addressesTaken"] == 1


def crash_once(template, operation, point, count):
    """True when the point was passed that often."""
    method, path, body = OPERATIONS[operation]
    with scratch() as folder:
        daemon = template.copy(folder)
        daemon.start("--crash-on-signal", f"{point}:{count}")
        daemon.arm()
        key = fresh_key()
        is_answered = False
        try:
            job = daemon.change(method, path, body, key)
            is_answered = True
            if job["state"] == "RUNNING":
                daemon.ended(job["id"])
            # Not dead: the operation does not pass the point so often. What follows may.
            daemon.settle()
        except Died:
            daemon.process.wait(timeout=60)
        is_hit = daemon.is_dead()
        if not is_hit:
            daemon.kill()
        daemon.start()
        if not is_answered:
            daemon.change(method, path, body, key)  # what a client does: the same again
        daemon.settle()
        if operation == "cluster":
            wait_until("the cluster is made",
                       lambda: len(daemon.get("/v1/clusters")["clusters"]) > 1)
        else:
            jobs = [job for job in daemon.get("/v1/jobs")["jobs"]
                    if job["kind"] == JOB_KINDS.get(operation, f"vm.{operation}")
                    and (operation != "network" or job["resourceName"] == "net2")]
            assert len(jobs) == 1 and jobs[0]["state"] == "DONE", jobs
        is_as_wished(daemon, operation)
        daemon.finish()
        with guard:
            hits[point] += is_hit
        return is_hit


def crash_at(template, operation, point):
    passed = 0
    for count in PASSES:
        if not crash_once(template, operation, point, count):
            break
        passed += 1
    return f"died {passed} times"


def every_point_was_hit():
    missing = [point for point in points()
               if hits[point] == 0 and not (IS_ON_KAFKA and is_of_a_driver(point))]
    assert not missing, f"no operation passes {missing}"
    return f"{sum(hits.values())} kills at {len(hits)} points"


def main():
    with scratch() as bare, scratch() as running:
        templates = dict.fromkeys(OPERATIONS, Template(running, True))
        templates.update(dict.fromkeys(("create", "free-network"), Template(bare, False)))
        tests = [(f"{operation} {point}",
                  lambda operation=operation, point=point: crash_at(
                      templates[operation], operation, point))
                 for operation in OPERATIONS for point in points_of(operation)]
        last = [every_point_was_hit] if len(sys.argv) == 1 else ()
        return run_tests(tests, workers=2, after=last)


if __name__ == "__main__":
    sys.exit(main())
