#!/usr/bin/env python3
"""Three orreryd on one log on a real Kafka of three brokers, under load, while things fail.

Usage: shared_log_faults_test.py [--repeat=N] [PART OF A TEST'S NAME …]

Clients change VMs by any process all the while (clients.py). Each story ends with the same checks:
no answered change is lost, none was done twice, the histories are linearizable by an outside judge,
all processes fold the same state, the invariants hold over the topic, and rebuilt projections give
the same bytes. ORRERY_SEED repeats a run's choices, though not its timing.
"""

import random
import re
import signal
import sys
import time

import judge
import private_network
from clients import Clients
from harness import cluster, fetch, make_site, run_tests, scratch, seed, wait_until
from shared_log import Site

PROCESSES = 3
PARTITION = 1  # where the cluster lives; the installation is in 0, and 2 is empty
ROUNDS_MAX = 30  # of what only chance brings about, about every third time
BROKERS = None  # one Kafka for all stories; each has topics of its own
PLACES = []


def story(tell):
    """A test: fresh processes under load, while `tell(site, clients, dice)` does the harm."""
    def run(dice):
        with scratch() as folder:
            site = Site(BROKERS, folder, PROCESSES, places=PLACES, suits=NEEDS.get(tell))
            try:
                owner = site.owner()
                make_site(owner)
                clients = Clients(site, dice)
                clients.know_of(owner)
                with clients:
                    clients.more()
                    tell(site, clients, dice)
                    clients.more()
                clients.check()
                status, said = judge.judge("linearizable", clients.write(f"{folder}/history"))
                assert status == 0, said
                voids = site.finish()
            except BaseException:
                print(site.describe(), flush=True)
                raise
            finally:
                site.end()
        return f"{clients.summary()}, void {voids}"
    return tell.__name__, run


def voids_counted(site, reason):
    """As one of the processes counts them; each has read the whole log."""
    living = [one for one in site.daemons if not one.is_dead()]
    _, _, text = living[0].request("GET", "/metrics")
    found = re.search(rf'^orrery_void_records_total{{.*"{reason}".*}} (\d+)', text, re.MULTILINE)
    return int(found[1]) if found else 0


def a_killed_owner_is_replaced(site, clients, dice):
    for _ in range(3):
        owner = site.owner()
        time.sleep(dice.random() * 0.2)  # any moment of its work
        owner.kill()
        clients.more()
        owner.start()


def what_a_stopped_owner_writes_later_is_void(site, clients, dice):
    for number in range(ROUNDS_MAX):
        owner = site.owner()
        time.sleep(dice.random() * 0.2)
        owner.process.send_signal(signal.SIGSTOP)
        try:
            site.owner(among=site.others(owner))
            clients.more(10)
            time.sleep(dice.uniform(1, 3) if number == 0 else 0)
        finally:
            owner.process.send_signal(signal.SIGCONT)
        clients.more(10)
        if voids_counted(site, "old_epoch"):
            return
    raise AssertionError(f"stopped {ROUNDS_MAX} times, and nothing of it was void")


def leader(site):
    """The broker of the log of the cluster's partition."""
    return BROKERS.leader(f"{site.log.prefix}.events", PARTITION)


def has_two_leaders(site):
    return leader(site) != BROKERS.leader(f"{site.log.prefix}.liveness", 0)


def claims(daemon):
    """Whether it claims the cluster's partition, or has done so."""
    return any(one["standing"] in ("claiming", "owning")
               for one in daemon.get("/v1/status")["partitions"] if one["partition"] == PARTITION)


def of_two_claims_at_once_one_counts(site, clients, dice):
    """Heartbeats go on while the broker of the log stands still: whoever claims, waits; and when he
    is silent too, the next one claims beside him."""
    for _ in range(ROUNDS_MAX):
        broker = leader(site)
        if not has_two_leaders(site):  # no more, since one stood still for too long
            BROKERS.kill(broker)
            BROKERS.start(broker)
            clients.more(5)
            continue
        owner = site.owner()
        others = site.others(owner)
        BROKERS.pause(broker)
        stopped = None
        try:
            owner.kill()
            stopped = wait_until("the first one claims", lambda: next(filter(claims, others), None))
            stopped.process.send_signal(signal.SIGSTOP)
            others.remove(stopped)
            wait_until("the second one claims", lambda: claims(others[0]))
        finally:
            BROKERS.resume(broker)
            if stopped:
                stopped.process.send_signal(signal.SIGCONT)
        owner.start()
        clients.more(10)
        if voids_counted(site, "claim_stale"):
            return
    raise AssertionError(f"tried {ROUNDS_MAX} times, and no two claims met")


def brokers_die_one_by_one(site, clients, dice):
    numbers = list(BROKERS.nodes)
    dice.shuffle(numbers)
    for number in numbers:
        BROKERS.kill(number)
        clients.more(10)
        BROKERS.start(number)


def all_brokers_die_at_once(site, clients, dice):
    for number in BROKERS.nodes:
        BROKERS.kill(number)
    time.sleep(dice.random() * 2)
    for number in BROKERS.nodes:
        BROKERS.launch(number)
    for number in BROKERS.nodes:
        BROKERS.start(number)
    clients.more()


def an_owner_is_cut_off(site, clients, dice):
    for _ in range(2):
        owner = site.owner()
        owner.place.cut()
        try:
            site.owner(among=site.others(owner))
            clients.more(10)
            time.sleep(dice.random())
        finally:
            owner.place.heal()
        clients.more(10)


def everybody_is_cut_off(site, clients, dice):
    for place in PLACES:
        place.cut()
    time.sleep(dice.uniform(1, 4))
    for place in PLACES:
        place.heal()
    clients.more()


def all_are_restarted_in_turn(site, clients, dice):
    for one in site.daemons:
        assert one.stop() == 0, one.last_errors()
        clients.more(10)
        one.start()
        clients.more(10)


def a_doctored_history_is_refused(dice):
    """The judge: what stands in no order of single steps is found, what does is not."""
    def operation(do, said, call, end, which="", client=0):
        return {"client": client, "name": "vm-1", "do": do, "said": said, "id": which,
                "call": call, "return": end}
    true = [operation("create", "done", 1, 4, "vm_1"), operation("read", "absent", 2, 3, client=1),
            operation("create", "taken", 5, 6), operation("read", "present", 7, 8, "vm_1"),
            operation("delete", "done", 9, 12), operation("read", "leaving", 10, 11, "vm_1"),
            operation("create", "done", 13, 14, "vm_2"), operation("delete", "unknown", 15, 0),
            operation("read", "present", 16, 17, "vm_2"), operation("read", "absent", 18, 19)]
    doctored = {
        "a lost create": true[:3] + [operation("read", "absent", 7, 8)],
        "a create done twice": true[:1] + [operation("create", "done", 5, 6, "vm_2")],
        "a stale read": true[:7] + [operation("read", "leaving", 15, 16, "vm_1")],
        "an end without a deletion": true[:7] + [operation("read", "absent", 15, 16)],
        "another's VM": true[:3] + [operation("read", "present", 7, 8, "vm_2")],
        "two deletions of one": true[:5] + [operation("delete", "done", 13, 14)],
        "a read that goes back": true + [operation("read", "present", 20, 21, "vm_2")],
    }
    with scratch() as folder:
        def judged(history):
            clients = Clients(None, dice, 0)
            clients.history = history
            return judge.judge("linearizable", clients.write(f"{folder}/history"))
        assert judged(true)[0] == 0, judged(true)
        for what, history in doctored.items():
            status, said = judged(history)
            assert status == 1 and "NOT linearizable" in said, (what, said)
        assert judged([operation("create", "nonsense", 1, 2)])[0] == 2


NEEDS = {of_two_claims_at_once_one_counts: has_two_leaders}
TESTS = [("a_doctored_history_is_refused", a_doctored_history_is_refused), *map(story, (
    a_killed_owner_is_replaced,
    what_a_stopped_owner_writes_later_is_void,
    of_two_claims_at_once_one_counts,
    brokers_die_one_by_one,
    all_brokers_die_at_once,
    an_owner_is_cut_off,
    everybody_is_cut_off,
    all_are_restarted_in_turn,
))]


def repetitions():
    asked = [one.partition("=")[2] for one in sys.argv if one.startswith("--repeat=")]
    count = int(asked[-1]) if asked else 1
    for number in range(count):
        for name, run in TESTS:
            dice = random.Random(DICE.random())
            yield (f"{name}_{number + 1}" if count > 1 else name,
                   lambda run=run, dice=dice: run(dice))


if __name__ == "__main__":
    fetch()
    judge.fetch("linearizable")
    private_network.enter()
    DICE = seed()
    PLACES = [private_network.Place(number + 1) for number in range(PROCESSES)]
    BROKERS = cluster(3, False, private_network.ADDRESS)
    sys.exit(run_tests(list(repetitions()), after=[BROKERS.end]))
