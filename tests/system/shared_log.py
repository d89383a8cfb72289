"""Processes that share a log on a real Kafka, and what must hold of them in the end.

Standard library only.
"""

import pathlib
import shutil
import subprocess

from harness import Daemon, Died, KafkaLog, SIMULATED, program, wait_until
from private_network import PlacedDaemon


def owned_by(daemon):
    """The partitions that a process owns."""
    return {one["partition"] for one in daemon.get("/v1/status")["partitions"]
            if one["standing"] == "owning"}


class Site:
    """Processes that share a fresh log and a simulated world, each in a place of its own if there
    are some."""

    def __init__(self, brokers, folder, count, partitions=3, places=(), suits=None, arguments=()):
        """`suits(site)`: whether the brokers share the topics as the test needs it; `arguments`: of
        each process's first start."""
        self.brokers = brokers
        self.folder = folder
        self.daemons = []
        while True:
            self.log = KafkaLog(brokers.servers(), partitions, len(brokers.nodes))
            if suits is None or suits(self):
                break
        self.daemons = [self.daemon(number, places) for number in range(count)]
        for one in self.daemons:
            one.start(*arguments)

    def daemon(self, number, places=()):
        directory = f"{self.folder}/{number}"
        config = SIMULATED.format(directory=self.folder)
        if places:
            return PlacedDaemon(places[number], directory, config, self.log)
        return Daemon(directory, config, log=self.log)

    def living(self):
        return [one for one in self.daemons if not one.is_dead()]

    def owner(self, where=1, among=None):
        """Who owns a partition, once somebody does: by default that of the first cluster."""
        def look():
            for one in among or self.living():
                if where in owned_by(one):
                    return one
            return None
        return wait_until(f"somebody owns partition {where}", look)

    def others(self, but):
        return [one for one in self.daemons if one is not but and not one.is_dead()]

    def finish(self):
        """All agree; the invariants hold; and a rebuild of the projections from the topic gives the
        same answers, at each process. How many records counted for nothing, by reason."""
        living = self.living()
        living[0].settle()

        def agree():
            digests = [one.get("/v1/status?digest=true")["stateDigest"] for one in living]
            return len(set(digests)) == 1
        wait_until("all fold the same state", agree)
        for one in living:
            assert one.stop() == 0, one.last_errors()
        digest, voids = self.check_log()
        told = []
        for one in self.daemons:
            for _ in range(2):
                one.start("--read-only")
                assert one.get("/v1/status?digest=true")["stateDigest"] == digest
                told.append(one.everything())
                one.stop()
                shutil.rmtree(one.data / "projections")
        assert all(one == told[0] for one in told)
        return voids

    def check_log(self):
        """(digest of the folded states, voids) of the stopped processes' log."""
        world = pathlib.Path(self.folder, "simulated")
        checked = subprocess.run(
            [program("check_log"), *self.log.arguments(None),
             *(part for one in sorted(world.iterdir()) for part in ("--world", str(one)))],
            capture_output=True, text=True, timeout=120, check=False)
        assert checked.returncode == 0, checked
        lines = [line.split() for line in checked.stdout.splitlines()]
        voids = {words[1]: int(words[2]) for words in lines if words[0] == "void"}
        return lines[0][1], voids

    def describe(self):
        """How each process stands, for a test that failed."""
        told = []
        for number, one in enumerate(self.daemons):
            try:
                status = "dead" if one.is_dead() else one.request("GET", "/v1/status", timeout=5)[2]
            except Died as why:
                status = why
            told.append(f"process {number}: {status}\n{one.last_errors()}")
        return "\n".join(told)

    def end(self):
        """Whatever a failed test left."""
        for one in self.daemons:
            if one.process and not one.is_dead():
                one.kill()
