"""The bench lines on a real Kafka of one broker, which this starts and ends: `pipeline_kafka`,
`catch_up`, `takeover`. Needs Java, and Kafka's jars once (Maven). Prints a JSON list."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from harness import cluster, make_site, program, vm_body, wait_until  # noqa: E402
from shared_log import Site, owned_by  # noqa: E402

HEARTBEAT_MS = 50
MISSED = 4  # heartbeats, then an owner is taken for dead: both are in events/log/liveness.hpp
CALM_S = 1.0  # nobody took over for so long: a kill is not measured together with another one


def row(name, what, unit, value, load, **more):
    return {"id": name, "what": what, "value": value, "unit": unit, "yardstick": None,
            "yardstick_what": "", "ratio": None, "cpu_seconds_per_million": None, "load": load,
            **more}


def ask_program(line, site, scratch, *words):
    """The rows of a line of orrery-bench on the log of a site."""
    done = subprocess.run(
        [program("orrery-bench"), line, "--kafka", site.brokers.servers(), "--prefix",
         site.log.prefix, "--scratch", scratch, *words], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise SystemExit(f"kafka: orrery-bench {line} ended with {done.returncode}")
    return json.loads(done.stdout)


def pipeline_kafka(brokers, scratch, runs):
    site = Site(brokers, scratch, 0, partitions=1)
    return ask_program("pipeline_kafka", site, scratch, "--runs", str(runs))


# --- a new process reads it all ------------------------------------------------------------------


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_all(site, number):
    """(seconds until a new process has read and projected everything, its CPU seconds)."""
    one = site.daemon(number)
    began = time.monotonic()
    one.start("--read-only")
    took = time.monotonic() - began
    spent = cpu_seconds(one.process.pid)
    one.stop()
    return took, spent


def catch_up(brokers, scratch, runs):
    load = os.getloadavg()[0]
    site = Site(brokers, scratch, 0, partitions=1)
    events = ask_program("kafka_fill", site, scratch)[0]["value"]
    pairs = []
    for number in range(runs):
        took, spent = read_all(site, number)
        raw = ask_program("kafka_consume", site, scratch)[0]["value"]
        pairs.append((events / took, events / raw, spent / events * 1e6))
    return [row("catch_up", f"{events:,.0f} events read by a new process until it answers",
                "events/s", statistics.median(one[0] for one in pairs), load,
                yardstick=statistics.median(one[1] for one in pairs),
                yardstick_what="raw consume of the same partition",
                ratio=statistics.median(one[0] / one[1] for one in pairs),
                cpu_seconds_per_million=statistics.median(one[2] for one in pairs))]


# --- another one takes over ----------------------------------------------------------------------


class Change:
    """A change that is sent now, and when it was answered."""

    count = 0

    def __init__(self, daemon):
        Change.count += 1
        self.began = time.monotonic()
        self.took = None
        self.thread = threading.Thread(target=self._run, args=(daemon, f"vm-{Change.count}"))
        self.thread.start()

    def _run(self, daemon, name):
        daemon.change("POST", "/v1/vms", vm_body(name))
        self.took = (time.monotonic() - self.began) * 1000

    def answered(self):
        self.thread.join()
        if self.took is None:
            raise SystemExit("kafka: a change was refused during a takeover")
        return self.took


PARTITION = 1  # where the cluster lives


def standing(daemon):
    return next(one["standing"] for one in daemon.get("/v1/status")["partitions"]
                if one["partition"] == PARTITION)


def calm(site):
    """(owner, the other one), once nobody has taken over for a while."""
    while True:
        owner = site.owner()
        time.sleep(CALM_S)
        if standing(owner) == "owning":
            return owner, site.others(owner)[0]


def kill(owner, other):
    """(ms until the other one claims, until it has answered a change)."""
    began = time.monotonic()
    owner.process.kill()
    change = Change(other)
    while standing(other) == "following":
        time.sleep(0.001)
    noticed = (time.monotonic() - began) * 1000
    answered = change.answered()
    owner.process.wait()
    return noticed, answered


def hand_over(owner, other):
    """(ms until the other one has answered a change that is sent when the owner is told to end, ms
    of one that is sent when all is quiet)."""
    quiet = Change(other).answered()
    owner.process.terminate()
    answered = Change(other).answered()
    owner.process.wait()
    return answered, quiet


def takeover(brokers, scratch, runs):
    load = os.getloadavg()[0]
    site = Site(brokers, scratch, 2, partitions=2)
    make_site(site.owner())
    wait_until("both know the cluster", lambda: all(
        one.request("GET", "/v1/clusters/c1")[0] == 200 for one in site.daemons))
    kills, handed = [], []
    for what, told in ((kill, kills), (hand_over, handed)):
        for _ in range(2 * runs):
            owner, other = calm(site)
            told.append(what(owner, other))
            owner.start()
    site.end()
    least = HEARTBEAT_MS * MISSED
    whole = statistics.median(one[1] for one in kills)
    return [
        row("takeover", f"owner killed, until another has answered a change; {2 * runs} kills",
            "ms", whole, load, yardstick=least, yardstick_what="the heartbeats that must be missed",
            ratio=whole / least),
        row("takeover.detection", "of that, until the other one claims", "ms",
            statistics.median(one[0] for one in kills), load),
        row("takeover.claim", "of that, from there to the answer", "ms",
            statistics.median(one[1] - one[0] for one in kills), load),
        row("takeover.worst", "the slowest of them", "ms", max(one[1] for one in kills), load),
        row("takeover.hand_over", "owner told to end, until another has answered a change", "ms",
            statistics.median(one[0] for one in handed), load,
            yardstick=statistics.median(one[1] for one in handed),
            yardstick_what="a change while nobody ends",
            ratio=statistics.median(one[0] / one[1] for one in handed)),
    ]


LINES = {one.__name__: one for one in (pipeline_kafka, catch_up, takeover)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("line", choices=LINES)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scratch", default="/var/tmp")
    wanted = parser.parse_args()
    brokers = cluster(1, False)
    try:
        with tempfile.TemporaryDirectory(prefix="orrery-kafka-bench-",
                                         dir=wanted.scratch) as scratch:
            print(json.dumps(LINES[wanted.line](brokers, scratch, wanted.runs), indent=2))
    finally:
        brokers.end()


if __name__ == "__main__":
    main()
