#!/usr/bin/env python3
"""`orrery backup` of the embedded log beside a running orreryd, what a restore gives, and that a
killed one leaves nothing that could be taken for a finished one."""

import collections
import json
import pathlib
import shutil
import subprocess
import sys
import time

from clients import Clients, all_jobs
from harness import (make_site, program, run_tests, scratch, seed, simulated_daemon, vm_body,
                     wait_until)

KILLS = 25
Site = collections.namedtuple("Site", "daemons")


def orrery(*arguments, **how):
    return subprocess.run([program("orrery"), *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, check=False, **how)


def done(*arguments):
    ran = orrery(*arguments, "-o", "json")
    assert ran.returncode == 0, ran
    assert ran.stderr == "", ran
    return json.loads(ran.stdout)


def refused(exit_status, text, *arguments):
    ran = orrery(*arguments)
    assert ran.returncode == exit_status and text in ran.stderr, ran
    assert ran.stdout == "", ran


def site_with_vms(folder, count=1):
    daemon = simulated_daemon(folder).start()
    make_site(daemon)
    for number in range(count):
        job = daemon.change("POST", "/v1/vms", vm_body(f"web-{number}"))
        assert daemon.ended(job["id"])["state"] == "DONE"
    return daemon


def restored(backup, folder):
    """A daemon, not started, on a restored log."""
    daemon = simulated_daemon(folder)
    made = done("backup", "restore", backup, "--data", daemon.data)
    return daemon, made


def everything_acknowledged_before_is_there():
    """Clients change VMs all the time; each backup has what was answered before it was begun."""
    with scratch() as folder:
        folder = pathlib.Path(folder)
        daemon = site_with_vms(folder / "first", 0)
        kept = []
        with Clients(Site([daemon]), seed()) as clients:
            for number in range(4):
                clients.more()
                answered = {job for jobs in clients.jobs.values() for job in list(jobs)}
                backup = folder / f"backup-{number}"
                made = done("backup", "create", "--data", daemon.data, backup)
                assert made["incarnation"] == 1, made
                kept.append((backup, answered, made))
            clients.more()
        clients.check()
        daemon.finish()
        for number, (backup, answered, made) in enumerate(kept):
            assert done("backup", "verify", backup) == made
            after, _ = restored(backup, folder / f"after-{number}")
            shutil.copytree(daemon.directory / "simulated", after.directory / "simulated")
            after.start()
            after.settle()
            jobs = {job["id"]: job["state"] for job in all_jobs(after)}
            assert answered <= jobs.keys(), answered - jobs.keys()
            assert "RUNNING" not in jobs.values(), jobs
            # Guests of later changes are there still, and the log knows nothing of them.
            after.finish(with_worlds=False)
        return f"{len(kept)} backups, {clients.summary()}, {kept[-1][2]['records']} records"


def the_restored_one_drives_and_its_predecessor_does_not():
    """Both reach the same node, as after a restore elsewhere while the old machine comes back."""
    with scratch() as folder:
        folder = pathlib.Path(folder)
        old = site_with_vms(folder / "old")
        done("backup", "create", "--data", old.data, folder / "backup")
        # Its next claim is of a higher epoch than any of the restored one: only the incarnation
        # tells them apart.
        for number in range(5):
            job = old.change("POST", "/v1/vms", vm_body(f"later-{number}"))
            assert old.ended(job["id"])["state"] == "DONE"
        for verb in ("stop", "start"):
            job = old.change("POST", f"/v1/vms/web-0:{verb}")
            assert old.ended(job["id"])["state"] == "DONE"
        old.stop()
        old.start()
        new, made = restored(folder / "backup", folder / "new")
        assert made["incarnation"] > 1_700_000_000, made
        (new.directory / "simulated").symlink_to(old.directory / "simulated")
        new.start()
        job = new.change("POST", "/v1/vms/web-0:stop")
        assert new.ended(job["id"])["state"] == "DONE"
        job = new.change("POST", "/v1/vms/web-0:start")
        assert new.ended(job["id"])["state"] == "DONE"
        new.await_vm("web-0", "REACHABLE")
        assert old.change("POST", "/v1/vms/web-0:stop")["state"] == "RUNNING"
        wait_until("the old one is refused by the guest", lambda: [
            line for line in old.request("GET", "/metrics")[2].splitlines()
            if line.startswith("orrery_hypervisor_effects_total") and 'outcome="conflict"' in line])
        assert new.vm_state("web-0") == "REACHABLE", new.vm("web-0")
        job = new.change("POST", "/v1/vms/web-0:stop")
        assert new.ended(job["id"])["state"] == "DONE"
        old.kill()
        told = new.errors.read_text()
        assert told.count("is ours but has no VM; it is left alone") == 5, told
        new.finish(with_worlds=False)  # there are guests that this log knows nothing of


def killed_at_any_moment():
    """kill -9 of create and restore; what is there under the final name is whole."""
    dice = seed()
    with scratch() as folder:
        folder = pathlib.Path(folder)
        daemon = site_with_vms(folder / "site", 4)
        outcomes = collections.Counter()
        half = 0
        whole = folder / "whole"
        create = ["backup", "create", "--data", daemon.data]
        took = time.monotonic()
        done(*create, whole)
        took = time.monotonic() - took
        backup = folder / "backup"
        data = folder / "restored"
        for _ in range(KILLS):
            killed_after(dice.uniform(0, took * 1.2), *create, backup)
            outcomes["create", backup.exists()] += 1
            half += (folder / "backup.partial").exists()
            if backup.exists():
                done("backup", "verify", backup)
                shutil.rmtree(backup)
            killed_after(dice.uniform(0, took * 1.2), "backup", "restore", whole, "--data", data)
            outcomes["restore", (data / "log").exists()] += 1
            half += (data / "log.partial").exists()
            if (data / "log").exists():
                ran = orrery("log", "verify", data / "log")
                assert ran.returncode == 0, ran
                shutil.rmtree(data)
        # What they left is in nobody's way.
        done(*create, backup)
        done("backup", "restore", backup, "--data", data)
        assert sorted(one.name for one in data.iterdir()) == ["log"]
        assert not list(folder.glob("*.partial"))
        daemon.finish()
        assert half > 0, "no kill came while something was half made"
        return f"{half} half made, " + ", ".join(
            f"{what} {'whole' if is_there else 'nothing'} {count}"
            for (what, is_there), count in sorted(outcomes.items()))


def killed_after(seconds, *arguments):
    process = subprocess.Popen([program("orrery"), *map(str, arguments)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        pass
    process.kill()
    process.wait()


def a_backup_of_a_stopped_one_is_the_same():
    with scratch() as folder:
        folder = pathlib.Path(folder)
        daemon = site_with_vms(folder / "site")
        daemon.stop()
        first = done("backup", "create", "--data", daemon.data, folder / "one")
        second = done("backup", "create", "--data", daemon.data, folder / "two")
        for made in (first, second):
            del made["path"], made["made"]
        assert first == second
        ran = orrery("log", "verify", folder / "one")
        assert ran.returncode == 0 and ran.stdout.endswith("good\n"), ran
        shown = orrery("backup", "verify", folder / "one")
        assert shown.returncode == 0, shown
        heads, row = shown.stdout.splitlines()
        assert heads.split() == ["PATH", "MADE", "RECORDS", "SIZE", "INCARNATION"], shown
        assert row.split()[0] == str(folder / "one"), shown


def each_refusal_says_why():
    with scratch() as folder:
        folder = pathlib.Path(folder)
        daemon = site_with_vms(folder / "site")
        good = folder / "good"
        create = ["backup", "create", "--data", daemon.data]
        done(*create, good)
        refused(6, "name a new directory", *create, good)
        refused(5, "make it first", *create, folder / "no" / "where")
        (folder / "kafka" / "projections").mkdir(parents=True)
        refused(5, "mirroring", "backup", "create", "--data", folder / "kafka", folder / "none")
        refused(64, "--data", "backup", "create", folder / "none")
        refused(5, "no backup", "backup", "verify", daemon.data)
        fresh = folder / "fresh"
        refused(6, "replaces nothing", "backup", "restore", good, "--data", daemon.data)
        (fresh / "projections").mkdir(parents=True)
        refused(6, "projections", "backup", "restore", good, "--data", fresh)
        shutil.rmtree(fresh)
        refused(5, "no directory", "backup", "restore", folder / "none", "--data", fresh)
        bad = folder / "bad"
        shutil.copytree(good, bad)
        segment = next(bad.glob("*.seg"))
        content = bytearray(segment.read_bytes())
        content[200] ^= 1
        segment.write_bytes(content)
        refused(3, segment.name, "backup", "verify", bad)
        refused(3, segment.name, "backup", "restore", bad, "--data", fresh)
        segment.unlink()
        refused(3, segment.name, "backup", "verify", bad)
        assert not fresh.exists()
        problem = json.loads(orrery("backup", "verify", bad, "-o", "json").stderr)
        assert problem["code"] == "damaged", problem
        # A copy by hand would drive its guests as the old one does.
        shutil.copytree(good, fresh / "log")
        by_hand = simulated_daemon(folder / "by-hand")
        by_hand.data.mkdir()
        shutil.copytree(good, by_hand.data / "log")
        by_hand.launch()
        wait_until("it ends", by_hand.is_dead)
        assert "orrery backup restore" in by_hand.last_errors()
        daemon.finish()


def main():
    return run_tests([everything_acknowledged_before_is_there,
                      the_restored_one_drives_and_its_predecessor_does_not, killed_at_any_moment,
                      a_backup_of_a_stopped_one_is_the_same, each_refusal_says_why], workers=2)


if __name__ == "__main__":
    sys.exit(main())
