"""Clients that change VMs by any process of a site, repeat what was not answered, and remember all.

Each operation has a key of its own and goes to a random process; after an error or a time-out it is
repeated with the same key, to another one, until it is answered. One in ten clients' operations is
given up instead, so that its fate stays unknown. What was answered is a history for the judge
(tests/system/linearizable). Standard library only.
"""

import json
import os
import random
import threading
import time

from harness import Died, fresh_key, vm_body, wait_until

# A client's own patience with one try. Shorter than the server's 30 s, as real ones are.
TRY_LIMIT = 5
OPERATION_LIMIT = 120
PAUSE = 0.05
NAMES = 8
ANSWERS = {
    ("create", 202): "done", ("create", 409): "taken",
    ("delete", 202): "done", ("delete", 404): "absent", ("delete", 409): "busy",
    ("read", 404): "absent",
}
TRY_AGAIN = (408, 429, 500, 503, 504)


class Clients:
    """Threads that do so from `with` on, until its end or `stop`."""

    def __init__(self, site, dice, count=4):
        self.site = site
        self.history = []
        self.jobs = {"create": [], "delete": []}  # of what was answered as done
        self.repeated = 0
        self.failures = []
        self.is_over = threading.Event()
        self.guard = threading.Lock()
        self.positions = {}  # the highest that anybody was told, by partition
        self.threads = [threading.Thread(target=self._work, args=(n, random.Random(dice.random())))
                        for n in range(count)]

    def know_of(self, daemon):
        """What this process knows now, everybody asked from now on must know."""
        self._note_position(daemon.request("GET", "/v1/vms")[1]["Orrery-Position"])

    def __enter__(self):
        for one in self.threads:
            one.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.is_over.set()
        for one in self.threads:
            one.join()

    def more(self, count=20):
        """Waits until so many more operations were answered."""
        wanted = self.answered() + count
        wait_until(f"{count} more operations are answered",
                   lambda: self.failures or self.answered() >= wanted)
        assert not self.failures, self.failures

    def answered(self):
        return sum(one["said"] != "unknown" for one in list(self.history))

    def _work(self, number, dice):
        try:
            while not self.is_over.is_set():
                self._operation(number, dice)
        except BaseException as why:  # noqa: BLE001 - told by `more` and `check`
            self.failures.append(repr(why))

    def _operation(self, number, dice):
        one = {"client": number, "name": f"vm-{dice.randrange(NAMES)}",
               "do": dice.choice(("create", "delete", "read")), "said": "unknown", "id": "",
               "call": time.monotonic_ns(), "return": 0}
        key = fresh_key()
        is_patient = dice.random() > 0.1
        deadline = time.monotonic() + OPERATION_LIMIT
        tries = 0
        while True:
            tries += 1
            try:
                is_answered = self._try(one, key, dice.choice(self.site.daemons), tries)
            except Died:
                is_answered = False
            if is_answered or not is_patient:
                break
            assert time.monotonic() < deadline, f"not answered in {OPERATION_LIMIT} s: {one}"
            time.sleep(PAUSE)
        one["return"] = time.monotonic_ns()
        with self.guard:
            self.repeated += tries - 1
            if (one["do"], one["said"]) != ("read", "unknown"):  # that one says nothing
                self.history.append(one)

    def _try(self, one, key, daemon, tries):
        """One request. Whether it was answered; then `one` says what."""
        headers = {"Idempotency-Key": key}
        with self.guard:
            if self.positions:
                headers["Orrery-Min-Position"] = ",".join(
                    f"{where}/{seq}" for where, seq in sorted(self.positions.items()))
        method, path, body = {
            "create": ("POST", "/v1/vms", vm_body(one["name"])),
            "delete": ("DELETE", f"/v1/vms/{one['name']}", None),
            "read": ("GET", f"/v1/vms/{one['name']}", None)}[one["do"]]
        status, told, reply = daemon.request(method, path, body, headers, timeout=TRY_LIMIT)
        self._note_position(told.get("Orrery-Position", ""))
        if status in TRY_AGAIN:
            return False
        if (one["do"], status) == ("read", 200):
            one["said"] = "leaving" if reply["desired"] == "DELETED" else "present"
            one["id"] = reply["id"]
            return True
        one["said"] = ANSWERS[one["do"], status]
        if status == 202:
            one["id"] = reply["job"]["resource"]
            self.jobs[one["do"]].append(reply["job"]["id"])
        elif one["do"] == "delete" and status == 404 and tries > 1:
            # It was not there for this try; one before it, of which nothing was heard, may still be
            # under way to a VM that this process did not know of yet.
            one["said"] = "unknown"
        return True

    def _note_position(self, text):
        with self.guard:
            for part in filter(None, text.split(",")):
                where, seq = map(int, part.split("/"))
                self.positions[where] = max(seq, self.positions.get(where, 0))

    def check(self):
        """Nothing that was answered is lost, nothing was done twice: each done operation has a job
        of its own, at each process, and there are no jobs but those and what was given up."""
        self.stop()
        assert not self.failures, self.failures
        for do, done in self.jobs.items():
            assert len(set(done)) == len(done), f"two {do} operations have one job"
            given_up = sum(one["do"] == do and one["said"] == "unknown"
                           for one in self.history)
            for daemon in self.site.daemons:
                if daemon.is_dead():
                    continue
                daemon.settle()
                there = {job["id"] for job in all_jobs(daemon) if job["kind"] == f"vm.{do}"}
                assert set(done) <= there, f"lost: {set(done) - there}"
                assert len(there) - len(done) <= given_up, (
                    f"{len(there)} {do} jobs, {len(done)} answered, {given_up} given up")

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            for one in self.history:
                file.write(json.dumps(one) + "\n")
        return os.fspath(path)

    def summary(self):
        unknown = sum(one["said"] == "unknown" for one in self.history)
        return f"{len(self.history)} operations, {self.repeated} tries repeated, {unknown} given up"


def all_jobs(daemon):
    jobs, token = [], ""
    while True:
        page = daemon.get("/v1/jobs?pageSize=1000" + (f"&pageToken={token}" if token else ""))
        jobs += page["jobs"]
        token = page.get("nextPageToken")
        if not token:
            return jobs
