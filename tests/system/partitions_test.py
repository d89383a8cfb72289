#!/usr/bin/env python3
"""Clusters in partitions of their own: one orreryd, several logs that are one installation.

Usage: partitions_test.py [PART OF A TEST'S NAME …]
"""

import concurrent.futures
import sys

from harness import make_site, partition_of, run_tests, scratch, simulated_daemon, vm_body

CLUSTERS = ("c1", "c2", "c3")


def clusters_are_shared_out_and_live_apart():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        for number in (1, 2, 3):
            make_site(daemon, prefix=f"10.{number}.0.0/24", number=number)
            job = daemon.change("POST", "/v1/vms", vm_body(f"vm-{number}", number=number))
            daemon.ended(job["id"])
        partitions = {}
        for cluster in daemon.get("/v1/clusters")["clusters"]:
            partitions[cluster["name"]] = partition_of(cluster["id"])
        assert sorted(partitions) == list(CLUSTERS) and 0 not in partitions.values(), partitions
        assert len(set(partitions.values())) == 3, partitions
        for vm in daemon.get("/v1/vms")["vms"]:
            number = vm["name"][-1]
            for thing in (vm["id"], vm["node"]["id"], vm["network"]["id"]):
                assert partition_of(thing) == partitions[f"c{number}"], vm
        told = daemon.get("/v1/status")
        owned = {one["partition"]: one for one in told["partitions"]}
        assert told["standing"] == "owning" and len(owned) > 3, told
        assert all(owned[where]["entities"] >= 4 for where in partitions.values()), told
        # One timeline, in the order of time; a name taken in one is taken for all.
        events = daemon.get("/v1/events?pageSize=1000")["events"]
        assert [one["time"] for one in events] == sorted(one["time"] for one in events)
        assert {one["position"].split("/")[0] for one in events} >= {"0", "1", "2", "3"}
        taken = daemon.refused("POST", "/v1/clusters", {"name": "c2", "hypervisor": "simulated"})
        assert taken["code"] == "already_exists", taken
        daemon.finish()


def what_is_read_is_what_was_written_in_each_partition():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        for number in (1, 2):
            make_site(daemon, prefix=f"10.{number}.0.0/24", number=number)
        status, headers, _ = daemon.request("GET", "/v1/vms")
        assert status == 200
        position = headers["Orrery-Position"]
        assert {part.split("/")[0] for part in position.split(",")} >= {"0", "1", "2"}, position
        status, _, _ = daemon.request("GET", "/v1/vms", headers={"Orrery-Min-Position": position})
        assert status == 200
        status, _, problem = daemon.request("GET", "/v1/vms",
                                            headers={"Orrery-Min-Position": "0/1,2"})
        assert status == 400 and "0/118,2/40" in problem["detail"], problem
        status, _, problem = daemon.request("GET", "/v1/vms",
                                            headers={"Orrery-Min-Position": "2/100000"})
        assert status == 503 and "2/100000" in problem["detail"], problem
        daemon.finish()


def many_clusters_at_once_are_all_made():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()

        def create(number):
            return daemon.change("POST", "/v1/clusters",
                                 {"name": f"c{number}", "hypervisor": "simulated"})["resource"]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            made = list(pool.map(create, range(40)))
        found = [one["id"] for one in daemon.get("/v1/clusters?pageSize=1000")["clusters"]]
        assert sorted(found) == sorted(made), (found, made)
        assert len({partition_of(one) for one in found}) > 1, found
        daemon.finish()


if __name__ == "__main__":
    sys.exit(run_tests([clusters_are_shared_out_and_live_apart,
                        what_is_read_is_what_was_written_in_each_partition,
                        many_clusters_at_once_are_all_made]))
