#!/usr/bin/env python3
"""Snapshots: a start goes on from the last one, to the same state as from the first record, and
whatever is wrong with one loses nothing.

Usage: snapshots_test.py [PART OF A TEST'S NAME …]
"""

import collections
import os
import shutil
import sys

from clients import Clients
from harness import (make_site, run_tests, scratch, seed, simulated_daemon, vm_body, wait_until)

KILLS = 5
Site = collections.namedtuple("Site", "daemons")
TOLD = "goes on from a snapshot of record "


def snapshots(daemon, partition=None):
    found = sorted((daemon.data / "snapshots").glob("*.snapshot"))
    return [one for one in found if partition is None or int(one.name[:4]) == partition]


def starts(daemon):
    """How often a partition has gone on from a snapshot so far."""
    return daemon.errors.read_text().count(TOLD)


def digest(daemon):
    return daemon.get("/v1/status?digest=true")["stateDigest"]


def busy_site(folder, clusters=1):
    """Enough changes for snapshots of the first cluster's partition."""
    daemon = simulated_daemon(folder).start()
    for number in range(1, clusters + 1):
        make_site(daemon, prefix=f"10.{number}.0.0/24", number=number)
    for name in range(8):
        job = daemon.change("POST", "/v1/vms", vm_body(f"web-{name}"))
        assert daemon.ended(job["id"])["state"] == "DONE"
    wait_until("a snapshot is made", lambda: snapshots(daemon, 1))
    return daemon


def a_start_goes_on_from_the_last_one():
    with scratch() as folder:
        daemon = busy_site(folder, clusters=2)
        for number in range(3):
            job = daemon.change("POST", "/v1/vms", vm_body(f"late-{number}"))
            assert daemon.ended(job["id"])["state"] == "DONE"
        daemon.kill()
        daemon.start("--read-only")
        assert starts(daemon) >= 1, daemon.errors.read_text()
        with_snapshot = digest(daemon)
        daemon.stop()
        shutil.rmtree(daemon.data / "snapshots")
        daemon.start("--read-only")
        assert digest(daemon) == with_snapshot
        daemon.stop()
        daemon.start()
        daemon.finish()


def kills_at_any_moment_lose_nothing():
    """Clients change VMs while snapshots are made all the time; it is killed again and again."""
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        dice = seed()
        with Clients(Site([daemon]), dice) as clients:
            for _ in range(KILLS):
                before = snapshots(daemon, 1)
                wait_until("a snapshot is made", lambda: snapshots(daemon, 1) != before)
                clients.more(dice.randrange(1, 60))
                daemon.kill()
                daemon.start()
        clients.check()
        assert starts(daemon) >= KILLS, daemon.errors.read_text()
        partial = list((daemon.data / "snapshots").glob("*.partial"))
        assert all(len(snapshots(daemon, where)) <= 2 for where in range(17)), snapshots(daemon)
        daemon.finish()
        return f"{KILLS} kills, {starts(daemon)} starts from one, {len(partial)} left half made"


def one_that_is_no_good_is_passed_over_and_told():
    with scratch() as folder:
        daemon = busy_site(folder)
        # Two of them, so that the older one is taken.
        wait_until("a second one", lambda: daemon.change(
            "POST", "/v1/vms/web-0:" + ("stop" if daemon.vm_state("web-0") == "REACHABLE"
                                        else "start")) and daemon.settle() is None
            and len(snapshots(daemon, 1)) == 2)
        daemon.stop()
        older, newest = snapshots(daemon, 1)
        good = newest.read_bytes()
        for wrong in (good[:-1], good[:40], b"", good + b"x",
                      good[:100] + bytes([good[100] ^ 1]) + good[101:]):
            newest.write_bytes(wrong)
            before = starts(daemon)
            daemon.start("--read-only")
            told = daemon.errors.read_text()
            assert f"a snapshot is passed over: {newest}" in told, told[-500:]
            assert starts(daemon) > before and f"{TOLD}{int(older.name.split('-')[1][:20])}" in told
            daemon.stop()
        newest.write_bytes(good)
        os.rename(older, older.with_name("0001-" + "9" * 20 + ".snapshot"))  # ahead of everything
        daemon.start()
        daemon.finish()


def one_that_is_ahead_of_the_log_means_lost_records():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        daemon.stop()
        shutil.copytree(daemon.data / "log", f"{folder}/old-log")
        daemon.start()
        for name in range(8):
            job = daemon.change("POST", "/v1/vms", vm_body(f"web-{name}"))
            assert daemon.ended(job["id"])["state"] == "DONE"
        wait_until("a snapshot is made", lambda: snapshots(daemon, 1))
        daemon.stop()
        shutil.rmtree(daemon.data / "log")
        shutil.copytree(f"{folder}/old-log", daemon.data / "log")
        daemon.launch()
        assert daemon.process.wait(60) != 0
        told = daemon.errors.read_text()
        assert "acknowledged records are lost" in told, told[-500:]
        return told.splitlines()[-1][:60]


def messages_between_partitions_survive_in_one():
    """Networks ask partition 0 for their prefixes while everything is killed and starts from
    snapshots: each gets its own, none twice."""
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        for number in (1, 2):
            make_site(daemon, prefix=f"10.{number}.0.0/24", number=number)
        jobs = []
        for number in range(30):
            jobs.append(daemon.change("POST", "/v1/networks", {
                "name": f"n{number}", "cluster": f"c{1 + number % 2}",
                "prefix": f"10.{100 + number}.0.0/24"}))
            if number % 10 == 9:
                wait_until("a snapshot of each", lambda: all(
                    snapshots(daemon, where) for where in (0, 1, 2)) or number < 19)
                daemon.kill()
                daemon.start()
        for job in jobs:
            assert daemon.ended(job["id"])["state"] == "DONE", job
        assert starts(daemon) >= 2, daemon.errors.read_text()
        assert daemon.get("/v1/installation")["prefixes"] == 32
        daemon.finish()
        return f"{starts(daemon)} starts from one"


if __name__ == "__main__":
    sys.exit(run_tests([
        a_start_goes_on_from_the_last_one,
        kills_at_any_moment_lose_nothing,
        one_that_is_no_good_is_passed_over_and_told,
        one_that_is_ahead_of_the_log_means_lost_records,
        messages_between_partitions_survive_in_one,
    ]))
