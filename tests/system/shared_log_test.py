#!/usr/bin/env python3
"""Several orreryd on one log on a real Kafka: any takes changes, one owns, another takes over.

Usage: shared_log_test.py [PART OF A TEST'S NAME …]
"""

import signal
import sys
import threading

from clocks import wrong_clock
from harness import cluster, make_site, partition_of, run_tests, scratch, vm_body, wait_until
from shared_log import Site, owned_by

BROKERS = None  # one Kafka for all tests; each has topics of its own


def owned_site(folder, *arguments):
    """Two processes with a cluster, a node and a network: the site, its owner and the other one."""
    site = Site(BROKERS, folder, 2, arguments=arguments)
    owner = site.owner()
    make_site(owner)
    return site, owner, site.others(owner)[0]


def any_process_takes_changes_and_all_agree():
    with scratch() as folder:
        site = Site(BROKERS, folder, 2)
        owner = site.owner()
        other = site.others(owner)[0]
        make_site(other)
        other.ended(other.change("POST", "/v1/vms", vm_body())["id"])
        owner.ended(owner.change("POST", "/v1/vms", vm_body("web-2"))["id"])
        assert other.vm_state("web-1") == owner.vm_state("web-1")
        site.finish()


def a_key_used_at_two_processes_takes_effect_once():
    with scratch() as folder:
        site = Site(BROKERS, folder, 2)
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


def an_owner_that_beats_but_decides_nothing_is_replaced():
    with scratch() as folder:
        site, owner, other = owned_site(folder, "--hang-on-signal", "partition.append.before")
        owner.arm()
        job = other.change("POST", "/v1/vms", vm_body())["id"]
        assert owner.is_dead() is False and site.owner() is other
        other.ended(job)
        owner.kill()  # it would wait for its thread
        site.finish()


def an_owner_that_ends_hands_over():
    with scratch() as folder:
        site, owner, other = owned_site(folder)
        owner.stop()
        assert site.owner() is other
        other.ended(other.change("POST", "/v1/vms", vm_body())["id"])
        owner.start()
        site.finish()


def a_clock_that_was_always_wrong_is_seen_by_the_brokers():
    with scratch() as folder:
        site = Site(BROKERS, folder, 1)
        daemon = site.owner()
        daemon.stop()
        # Not much more than is allowed: libfaketime makes each wait of librdkafka longer by it.
        daemon.start(environment=wrong_clock("+8s"))
        wait_until("the alarm", lambda: "the log's own clock" in daemon.get("/v1/status")["alarm"])
        problem = daemon.refused("POST", "/v1/clusters", {"name": "c1", "hypervisor": "simulated"})
        assert problem["code"] == "clock_untrusted", problem
        daemon.kill()
        daemon.start()
        make_site(daemon)
        daemon.ended(daemon.change("POST", "/v1/vms", vm_body())["id"])
        site.finish()


def partitions_are_shared_and_taken_over():
    with scratch() as folder:
        # So many that each of two has some, but for one in 30,000 runs.
        partitions = 16
        site = Site(BROKERS, folder, 2, partitions)
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
    an_owner_that_beats_but_decides_nothing_is_replaced,
    an_owner_that_ends_hands_over,
    a_clock_that_was_always_wrong_is_seen_by_the_brokers,
    partitions_are_shared_and_taken_over,
]

if __name__ == "__main__":
    BROKERS = cluster(1, False)
    sys.exit(run_tests(TESTS, after=[BROKERS.end]))
