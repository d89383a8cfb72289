#!/usr/bin/env python3
"""Clusters in partitions of their own: one orreryd, several logs that are one installation.

Usage: partitions_test.py [PART OF A TEST'S NAME …]
"""

import concurrent.futures
import sys

from harness import (fresh_key, make_network, make_site, micros_of, partition_of, run_tests,
                     scratch, simulated_daemon, vm_body)

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
        times = [micros_of(one["time"]) for one in events]
        assert times == sorted(times), times
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


def make_clusters(daemon, count):
    """Empty clusters c1, c2, …: each in a partition of its own."""
    for number in range(1, count + 1):
        daemon.change("POST", "/v1/clusters", {"name": f"c{number}", "hypervisor": "simulated"})
    places = {partition_of(one["id"]) for one in daemon.get("/v1/clusters")["clusters"]}
    assert len(places) == count and 0 not in places, places


def ask_for_network(daemon, cluster, prefix, name="lan"):
    """Its job, ended."""
    body = {"name": name, "cluster": f"c{cluster}", "prefix": prefix}
    return daemon.ended(daemon.change("POST", "/v1/networks", body, fresh_key())["id"])


def of_those_who_ask_for_a_prefix_at_once_one_gets_it():
    rounds, clusters = 8, 3
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_clusters(daemon, clusters)
        with concurrent.futures.ThreadPoolExecutor(clusters) as pool:
            for number in range(rounds):
                # The second half overlaps without being the same.
                lengths = (24, 24, 24) if number < rounds // 2 else (24, 23, 25)
                jobs = list(pool.map(
                    lambda one, number=number, lengths=lengths: ask_for_network(
                        daemon, one + 1, f"10.{number}.0.0/{lengths[one]}", f"lan-{number}"),
                    range(clusters)))
                states = sorted(job["state"] for job in jobs)
                assert states == ["DONE", "FAILED", "FAILED"], jobs
                holder = next(job for job in jobs if job["state"] == "DONE")
                assert holder["steps"][-1]["name"] == "granted", holder
                for job in jobs:
                    if job is not holder:
                        text = job["error"]["text"]
                        assert job["error"]["code"] == "conflict", job
                        assert "overlaps" in text and f"'lan-{number}'" in text, text
                        assert "another prefix" in text and "in cluster 'c" in text, text
                there = daemon.get(f"/v1/networks?name=lan-{number}")["networks"]
                assert [one["id"] for one in there] == [holder["resource"]], there
                assert there[0]["state"] == "READY", there
        assert daemon.get("/v1/installation")["prefixes"] == rounds
        daemon.finish()


def a_prefix_is_free_once_its_network_is_deleted():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        for number in (1, 2):
            make_site(daemon, prefix=f"10.{number}.0.0/24", number=number)
        daemon.ended(daemon.change("POST", "/v1/vms", vm_body())["id"])
        held = daemon.refused("DELETE", "/v1/networks/net1")
        assert held["code"] == "conflict" and "1 address to a VM" in held["detail"], held
        daemon.ended(daemon.change("DELETE", "/v1/vms/web-1")["id"])
        job = daemon.ended(daemon.change("DELETE", "/v1/networks/net1")["id"])
        assert job["kind"] == "network.delete" and job["state"] == "DONE", job
        status, _, gone = daemon.request("GET", "/v1/networks/net1")
        assert status == 404 and "was deleted at" in gone["detail"], gone
        assert ask_for_network(daemon, 2, "10.1.0.0/24")["state"] == "DONE"
        assert ask_for_network(daemon, 1, "10.1.0.0/24")["state"] == "FAILED"
        make_network(daemon, 1, "10.3.0.0/24")  # and so is its name
        events = [one["type"] for one in
                  daemon.get(f"/v1/events?resource={job['resource']}")["events"]]
        assert events == [
            "network.created", "network.subnet_added", "network.job_started",
            "network.claim_granted", "network.job_ended", "network.address_assigned",
            "command.refused", "network.address_released", "network.removal_requested",
            "network.job_started", "network.job_ended", "network.removed"], events
        daemon.finish()


def limits_of_the_installation_are_kept():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_clusters(daemon, 2)
        assert ask_for_network(daemon, 1, "10.1.0.0/24")["state"] == "DONE"
        told = daemon.get("/v1/installation")
        assert (told["clusters"], told["prefixes"]) == (2, 1), told
        assert told["clustersMax"] == 1000 and told["prefixesMax"] == 4096, told
        for limit, figure in (("clusters", 2), ("prefixes", 1)):
            daemon.change("POST", "/v1/installation:setLimit", {"limit": limit, "figure": figure})
        told = daemon.get("/v1/installation")
        assert (told["clustersMax"], told["prefixesMax"]) == (2, 1), told
        full = daemon.refused("POST", "/v1/clusters", {"name": "c3", "hypervisor": "simulated"})
        assert full["code"] == "limit_reached" and "2 clusters" in full["detail"], full
        assert "set-limit clusters" in full["detail"], full
        job = ask_for_network(daemon, 2, "10.2.0.0/24")
        assert job["error"]["code"] == "limit_reached", job
        assert "1 prefixes" in job["error"]["text"], job
        daemon.change("POST", "/v1/installation:setLimit", {"limit": "prefixes", "figure": 2})
        assert ask_for_network(daemon, 2, "10.2.0.0/24")["state"] == "DONE"
        for body, words in (({"limit": "nodes", "figure": 1}, "clusters and prefixes"),
                            ({"limit": "clusters", "figure": 0}, "1 to 65536"),
                            ({"limit": "clusters", "figure": 65537}, "at most 65536")):
            bad = daemon.refused("POST", "/v1/installation:setLimit", body)
            assert bad["code"] == "invalid_argument" and words in bad["detail"], bad
        daemon.finish()


def a_network_asked_for_again_with_its_key_is_one():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_clusters(daemon, 2)
        key = fresh_key()
        body = {"name": "lan", "cluster": "c1", "prefix": "10.1.0.0/24"}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            jobs = list(pool.map(
                lambda _: daemon.change("POST", "/v1/networks", body, key)["id"], range(16)))
        assert len(set(jobs)) == 1, jobs
        assert daemon.ended(jobs[0])["state"] == "DONE"
        status, _, other = daemon.request("POST", "/v1/networks", dict(body, name="dmz"),
                                          {"Idempotency-Key": key})
        assert status == 422 and other["code"] == "key_reused", other
        daemon.finish()


if __name__ == "__main__":
    sys.exit(run_tests([clusters_are_shared_out_and_live_apart,
                        what_is_read_is_what_was_written_in_each_partition,
                        many_clusters_at_once_are_all_made,
                        of_those_who_ask_for_a_prefix_at_once_one_gets_it,
                        a_prefix_is_free_once_its_network_is_deleted,
                        limits_of_the_installation_are_kept,
                        a_network_asked_for_again_with_its_key_is_one]))
