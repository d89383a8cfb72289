#!/usr/bin/env python3
"""Projections folded again beside the rows that answer: under load, killed at any moment, of rows
that are damaged, and asked for wrongly.

Usage: projections_test.py [PART OF A TEST'S NAME …]
"""

import collections
import sys
import time

from clients import Clients
from harness import (make_site, run_tests, scratch, seed, simulated_daemon, vm_body,
                     wait_until)

KILLS = 12
Site = collections.namedtuple("Site", "daemons")


def names(daemon):
    return [one["name"] for one in daemon.get("/v1/projections")["projections"]]


def site_with_vms(folder, count):
    daemon = simulated_daemon(folder).start()
    make_site(daemon)
    for number in range(count):
        job = daemon.change("POST", "/v1/vms", vm_body(f"web-{number}"))
        assert daemon.ended(job["id"])["state"] == "DONE"
    return daemon


def rows_are_made_anew_under_load():
    """Clients change VMs and read what they wrote all the time; none of them notices."""
    with scratch() as folder:
        daemon = site_with_vms(folder, 0)
        rounds = 0
        with Clients(Site([daemon]), seed()) as clients:
            for _ in range(3):
                clients.more()
                for projection in names(daemon):
                    for verb in ("rebuild", "verify"):
                        daemon.refold(projection, verb)
                        rounds += 1
        clients.check()
        daemon.finish()
        return f"{rounds} times, {clients.summary()}"


def a_kill_at_any_moment_leaves_good_rows():
    with scratch() as folder:
        daemon = site_with_vms(folder, 20)
        dice = seed()
        began = time.monotonic()
        daemon.refold("timeline", "rebuild")
        usual = time.monotonic() - began
        for _ in range(KILLS):
            projection = dice.choice(names(daemon))
            status, _, body = daemon.request("POST", f"/v1/projections/{projection}:rebuild")
            assert status == 202, body
            time.sleep(dice.uniform(0, usual))
            daemon.kill()
            daemon.start()
            for one in names(daemon):
                daemon.refold(one, "verify")
        daemon.finish()


def the_command_line_tells_how_it_goes():
    with scratch() as folder:
        daemon = site_with_vms(folder, 2)
        listed = daemon.orrery("projection", "list", "-o", "name")
        assert listed.stdout.split() == names(daemon), listed
        for projection in names(daemon):
            for verb in ("rebuild", "verify"):
                done = daemon.orrery("projection", verb, projection)
                assert "DONE" in done.stdout, done
                assert done.stderr == "", done
        unknown = daemon.orrery("projection", "rebuild", "inventary", wanted=5)
        assert "projection list" in unknown.stderr, unknown
        status, _, problem = daemon.request("POST", "/v1/projections/jobs:forget")
        assert status == 404 and "rebuild or verify" in problem["detail"], problem
        status, _, problem = daemon.request("GET", "/v1/projections?pageSized=3")
        assert status == 400, problem
        daemon.finish()


def the_past_is_what_was_told_then():
    """What anybody read is read again by the position that came with it, and by its time, when all
    has changed since: byte for byte."""
    with scratch() as folder:
        daemon = site_with_vms(folder, 0)
        told = {}

        def remember():
            for kind in ("vms", "nodes", "clusters", "networks"):
                for thing in daemon.get(f"/v1/{kind}")[kind]:
                    path = f"/v1/{kind}/{thing['id']}"
                    status, headers, body = daemon.request("GET", path)
                    if status == 200:
                        told[path, headers["Orrery-Position"]] = body

        with Clients(Site([daemon]), seed()) as clients:
            for _ in range(12):
                clients.more(8)
                remember()
        clients.check()
        daemon.kill()
        daemon.start()
        dead = 0
        for (path, position), body in told.items():
            assert daemon.get(f"{path}?asOf={position}") == body, (path, position)
            dead += daemon.request("GET", path)[0] == 404
        assert dead > 0, "nothing of what was remembered is gone"
        # By time: the last one before each next change of that thing.
        for path in {path for path, _ in told if "/vms/" in path}:
            vm = path.split("/")[-1]
            events = daemon.get(f"/v1/events?pageSize=1000&resource={vm}")["events"]
            made, last = events[0]["time"], events[-1]["time"]
            assert daemon.get(f"{path}?asOf={made}")["createdAt"] == made, path
            before = daemon.request("GET", f"{path}?asOf=2026-01-01T00:00:00Z")
            assert before[0] == 404 and "there was no vm" in before[2]["detail"], before
            after = daemon.request("GET", f"{path}?asOf={last}")
            assert after[0] == daemon.request("GET", path)[0], (path, after)
        for wrong in ("yesterday", "1/x", "0/0", "2026-01-01"):
            status, _, problem = daemon.request("GET", f"/v1/clusters/c1?asOf={wrong}")
            assert status == 400 and problem["code"] == "invalid_argument", problem
        status, _, problem = daemon.request("GET", "/v1/clusters/c1?asOf=1/2&asOf=1/3")
        assert status == 400 and "twice" in problem["detail"], problem
        status, _, problem = daemon.request("GET", "/v1/clusters/c1?asOf=1/99999999")
        assert status == 503, problem
        shown = daemon.orrery("cluster", "get", "c1", "--as-of", "2999-01-01T00:00:00Z")
        assert "c1" in shown.stdout, shown
        daemon.finish()
        return f"{len(told)} answers, {dead} of them of what is gone"


def two_at_once_are_refused():
    with scratch() as folder:
        daemon = site_with_vms(folder, 5)
        told = [daemon.request("POST", "/v1/projections/timeline:verify") for _ in range(40)]
        accepted = [one for one in told if one[0] == 202]
        refused = [one for one in told if one[0] != 202]
        assert accepted and all(one[0] == 409 and one[2]["code"] == "busy" for one in refused), told
        wait_until("all have ended", lambda: all(
            one.get("work", {}).get("state") != "RUNNING"
            for one in daemon.get("/v1/projections")["projections"]))
        daemon.finish()
        return f"{len(accepted)} done, {len(refused)} refused"


if __name__ == "__main__":
    sys.exit(run_tests([
        rows_are_made_anew_under_load,
        a_kill_at_any_moment_leaves_good_rows,
        the_command_line_tells_how_it_goes,
        the_past_is_what_was_told_then,
        two_at_once_are_refused,
    ]))
