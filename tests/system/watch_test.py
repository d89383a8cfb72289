#!/usr/bin/env python3
"""The live channel: who watches is told of everything once, in order, whatever is killed; and a
thousand may watch one orreryd.

Usage: watch_test.py [PART OF A TEST'S NAME …]
"""

import asyncio
import collections
import contextlib
import hashlib
import json
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import harness
from harness import (JOB_LIMIT, POLL, Died, fresh_key, make_site, run_tests, scratch, seed,
                     simulated_daemon, vm_body, wait_until)
from cluster import free_ports  # where it is, the harness says
from shared_log import Site

WATCHERS = 1_000
UNREADING = 50  # beside those: they take nothing
# What a thousand watchers may cost at most: 20 KiB of buffers each, what waits for those who do not
# read (the hub's and the server's limits), and as much again for the heap.
MEMORY_MAX = 120 * 1024 * 1024


def request_bytes(daemon, query="", last_id=""):
    lines = [f"GET /v1/watch{query} HTTP/1.1", "Host: localhost",
             f"Authorization: Bearer {daemon.token()}"]
    if last_id:
        lines.append(f"Last-Event-ID: {last_id}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Messages:
    """Takes a stream of server-sent events apart."""

    def __init__(self):
        self.rest = b""
        self.last_id = ""

    def add(self, data):
        *whole, self.rest = (self.rest + data).split(b"\n\n")
        found = []
        for one in whole:
            fields = dict(line.split(": ", 1) for line in one.decode().split("\n")
                          if not line.startswith(":"))
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                found.append((fields["event"], json.loads(fields["data"]), self.last_id))
        return found


def must_have_died(process, why):
    """A connection to an orreryd that was ready breaks for one reason only."""
    try:
        process.wait(timeout=JOB_LIMIT)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{why}, though orreryd lives") from None


class Watcher:
    """One who watches in a thread of its own, comes again when orreryd was killed, and breaks the
    connection now and then, when there are dice; then at any of several daemons."""

    def __init__(self, daemon, query="", dice=None):
        self.daemons = daemon if isinstance(daemon, list) else [daemon]
        self.query, self.dice = query, dice
        self.told = []  # (type, entry)
        self.connections = 0
        self.last_id = ""
        self.begin = ""  # the position at which it began
        self.is_over = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.is_over.is_set():
                daemon = self.dice.choice(self.daemons) if self.dice else self.daemons[0]
                process, port = daemon.process, daemon.port
                if port is not None:
                    try:
                        self._watch(daemon, process, port)
                    except OSError as why:
                        must_have_died(process, repr(why))
                time.sleep(POLL)
        except BaseException as why:  # noqa: BLE001 - told by `await_entries`
            self.failure = repr(why)

    def _watch(self, daemon, process, port):
        with socket.create_connection(("127.0.0.1", port), timeout=JOB_LIMIT) as connection:
            connection.sendall(request_bytes(daemon, self.query, self.last_id))
            connection.settimeout(0.2)
            until = time.monotonic() + self.dice.uniform(0, 1.5) if self.dice else float("inf")
            stream, head = Messages(), b""
            while not self.is_over.is_set() and time.monotonic() < until:
                try:
                    data = connection.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    return must_have_died(process, "the stream ended")
                if b"\r\n\r\n" not in head:
                    head, _, data = (head + data).partition(b"\r\n\r\n")
                    status = int(head.split(b" ")[1])
                    if status == 503 and len(self.daemons) > 1:
                        return  # this one has not read up to there: docs/api.md
                    assert status == 200, head
                    head += b"\r\n\r\n"
                    self.connections += 1
                for kind, entry, self.last_id in stream.add(data):
                    if kind == "ready":
                        self.begin = self.begin or self.last_id
                    else:
                        assert kind == entry["type"], (kind, entry)
                        self.told.append(entry)
                self.last_id = stream.last_id or self.last_id
                self.begin = self.begin or self.last_id

    def await_begin(self):
        wait_until("it watches", lambda: self.begin or self.failure)
        assert not self.failure, self.failure
        return self

    def await_entries(self, count):
        wait_until(f"{count} entries are told", lambda: self.failure or len(self.told) >= count)
        assert not self.failure, self.failure

    def stop(self):
        self.is_over.set()
        self.thread.join()
        assert not self.failure, self.failure
        return self.told


def timeline(daemon, query=""):
    """Every entry, by time."""
    found, token = [], ""
    while True:
        page = daemon.get(f"/v1/events?pageSize=1000{query}"
                          + (f"&pageToken={token}" if token else ""))
        found += page["events"]
        token = page.get("nextPageToken")
        if not token:
            return found


def by_partition(entries):
    found = collections.defaultdict(list)
    for one in entries:
        found[one["position"].split("/")[0]].append(one)
    return dict(found)


def place_of(position):
    return tuple(map(int, position.split("/")))


def behind(entries, position):
    """Those that someone gets who watches from a position (of whole records) on."""
    known = dict(map(int, part.split("/")) for part in position.split(","))
    places = ((place_of(one["position"]), one) for one in entries)
    return [one for (where, seq, _), one in places if seq > known.get(where, 0)]


def assert_same(told, wanted, last):
    """Those entries, each once, those of a partition in the order of the timeline `last`; and what
    has happened since, as far as it was told."""
    told, wanted, last = by_partition(told), by_partition(wanted), by_partition(last)
    for where in told.keys() | last.keys():
        found, all_of_it = told.get(where, []), last.get(where, [])
        places = [one["position"] for one in found]
        expected = [one["position"] for one in all_of_it[:len(found)]]
        assert places == expected, (
            f"partition {where}: missing {set(expected) - set(places)}, too many "
            f"{set(places) - set(expected)}, in order: {places == sorted(places, key=place_of)}")
        assert len(found) >= len(wanted.get(where, [])), f"partition {where}: the end is missing"
        assert found == all_of_it[:len(found)], where


def settled_timeline(daemon):
    daemon.settle()
    return timeline(daemon)


def changes_are_seen_in_order_as_they_happen():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        live = Watcher(daemon).await_begin()
        beginning = Watcher(daemon, "?after=0/0")
        make_site(daemon)
        job = daemon.change("POST", "/v1/vms", vm_body())
        daemon.ended(job["id"])
        one = Watcher(daemon, f"?after=0/0&resource={job['resource']}")
        vms = Watcher(daemon, "?after=0/0&noun=vm")
        daemon.ended(daemon.change("DELETE", "/v1/vms/web-1")["id"])
        wanted = settled_timeline(daemon)
        parts = ((live, lambda all_: behind(all_, live.begin)), (beginning, list),
                 (one, lambda all_: [entry for entry in all_
                                     if entry["resource"] == job["resource"]]),
                 (vms, lambda all_: [entry for entry in all_
                                     if entry["resource"].startswith("vm_")]))
        for watcher, part in parts:
            watcher.await_entries(len(part(wanted)))
            assert_same(watcher.stop(), part(wanted), part(timeline(daemon)))
        assert len(one.told) > 5, one.told
        assert len(wanted) > 15, wanted
        daemon.finish()


def what_is_told_of_can_be_read():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=JOB_LIMIT) as connection:
            connection.sendall(request_bytes(daemon, "?noun=vm"))
            for number in range(10):
                daemon.change("POST", "/v1/vms", vm_body(f"vm-{number}"))
            stream, created = Messages(), 0
            data = connection.recv(65536).partition(b"\r\n\r\n")[2]
            while created < 10:
                for kind, entry, _ in stream.add(data):
                    if kind == "vm.created":
                        created += 1
                        daemon.get(f"/v1/vms/{entry['resource']}")  # 200
                data = connection.recv(65536)
        daemon.settle()
        daemon.finish()


def bad_questions_are_refused():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        for query, status, code in (
                ("?after=x", 400, "invalid_argument"), ("?after=0/1/", 400, "invalid_argument"),
                ("?after=99/1", 400, "invalid_argument"), ("?after=", 400, "invalid_argument"),
                ("?after=0/100000", 503, "unavailable"), ("?pageSize=5", 400, "invalid_argument"),
                ("?noun=cow", 400, "invalid_argument"), ("?resource=nobody", 404, "not_found")):
            problem = daemon.refused("GET", "/v1/watch" + query)
            assert (problem["status"], problem["code"]) == (status, code), (query, problem)
        status, _, problem = daemon.request("GET", "/v1/watch",
                                            headers={"Last-Event-ID": "1/99999,0/1"})
        assert status == 503 and "1/99999" in problem["detail"], problem
        status, _, _ = daemon.request("GET", "/v1/watch", headers={"Authorization": "Bearer x"})
        assert status == 401
        make_site(daemon)
        daemon.finish()


class Changes:
    """VMs that come and go, also while the daemon is killed."""

    def __init__(self, daemon, dice):
        self.daemon, self.dice = daemon, dice
        self.is_over = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.is_over.is_set():
                process = self.daemon.process
                if self.daemon.port is not None:
                    try:
                        self._change(f"vm-{self.dice.randrange(12)}")
                    except Died as why:
                        must_have_died(process, str(why))
                time.sleep(POLL)
        except BaseException as why:  # noqa: BLE001 - told by `stop`
            self.failure = repr(why)

    def _change(self, name):
        if self.dice.random() < 0.5:
            self.daemon.request("POST", "/v1/vms", vm_body(name),
                                {"Idempotency-Key": fresh_key()})
        else:
            self.daemon.request("DELETE", f"/v1/vms/{name}")

    def stop(self):
        self.is_over.set()
        self.thread.join()
        assert not self.failure, self.failure


def each_event_is_told_once_whatever_is_killed():
    dice = seed()
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        steady = [Watcher(daemon).await_begin() for _ in range(3)]
        make_site(daemon)
        everything = [Watcher(daemon, "?after=0/0", dice) for _ in range(5)]
        changes = Changes(daemon, dice)
        for _ in range(4):
            time.sleep(dice.uniform(0.3, 1.5))
            daemon.kill()
            daemon.start()
        changes.stop()
        wanted = settled_timeline(daemon)
        for watcher in steady + everything:
            begin = watcher.begin if watcher in steady else "0/0"
            watcher.await_entries(len(behind(wanted, begin)))
            assert_same(watcher.stop(), behind(wanted, begin), behind(timeline(daemon), begin))
            assert watcher.connections >= 3, watcher.connections
        connections = sum(one.connections for one in steady + everything)
        daemon.stop()
        shutil.rmtree(daemon.data / "projections")
        daemon.start("--read-only")  # rows that were made again give the same
        again = Watcher(daemon, "?after=0/0")
        last = timeline(daemon)
        again.await_entries(len(last))
        assert_same(again.stop(), last, last)
        assert_same(wanted, wanted, last)
        daemon.stop()
        daemon.start()
        daemon.finish()
        return f"{len(wanted)} events, {connections} connections"


def a_position_goes_on_at_another_orreryd():
    dice = seed()
    with scratch() as folder:
        site = Site(harness.BROKERS, folder, 2)
        first, second = site.daemons
        make_site(first)
        watchers = [Watcher(site.daemons, "?after=0/0", dice) for _ in range(5)]
        changes = Changes(first, dice)
        for victim in (second, first, second):
            time.sleep(dice.uniform(0.5, 1.5))
            victim.kill()
            victim.start()
        changes.stop()
        wanted = settled_timeline(first)
        for watcher in watchers:
            watcher.await_entries(len(wanted))
            assert_same(watcher.stop(), wanted, timeline(first))
        site.finish()
        return f"{len(wanted)} events, {sum(one.connections for one in watchers)} connections"


def the_command_line_follows_across_a_restart():
    with scratch() as folder:
        daemon = simulated_daemon(folder)
        config = daemon.config.read_text()
        daemon.config.write_text(config.replace("127.0.0.1:0", f"127.0.0.1:{free_ports(1)[0]}"))
        daemon.start()
        errors = pathlib.Path(folder) / "follow.err"

        def follow(*more):
            with open(errors, "wb") as to:
                return subprocess.Popen(daemon.command("event", "follow", *more),
                                        stdout=subprocess.PIPE, stderr=to, text=True)

        def end(process):
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=JOB_LIMIT)
            assert process.returncode == 2, (process.returncode, errors.read_text())
            hint = errors.read_text().splitlines()[-1]
            assert hint.startswith("to go on from here: orrery event follow --after "), hint
            return out, hint.rsplit(" ", 1)[1]

        first = follow("--after", "0/0", "-o", "json")
        make_site(daemon)
        told = []
        daemon.kill()
        daemon.start()
        daemon.ended(daemon.change("POST", "/v1/vms", vm_body())["id"])
        daemon.settle()
        middle = timeline(daemon)
        while len(told) < len(middle):
            told.append(json.loads(first.stdout.readline()))
        rest, position = end(first)
        told += [json.loads(one) for one in rest.splitlines()]
        second = follow("--after", position, "-o", "json")
        daemon.ended(daemon.change("DELETE", "/v1/vms/web-1")["id"])
        wanted = settled_timeline(daemon)
        while len(told) < len(wanted):
            told.append(json.loads(second.stdout.readline()))
        end(second)
        assert_same(told, wanted, timeline(daemon))
        shown = follow("--after", "0/0", "web-1")
        table = [shown.stdout.readline() for _ in range(3)]
        shown.send_signal(signal.SIGINT)
        shown.communicate(timeout=JOB_LIMIT)
        assert table[0].split()[:2] == ["POSITION", "TIME"], table
        assert "vm.created" in table[1], (table, errors.read_text())
        daemon.finish()


async def watch_once(daemon, begins, ids, number, told):
    """Reads one connection of one of many to its end, which is that of orreryd, and keeps his first
    and last id."""
    process, port = daemon.process, daemon.port
    if port is None:
        return  # it is being started
    why = "the stream ended"
    stream = Messages()
    stream.last_id = ids[number]
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes(daemon, "", ids[number]))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.split(b"\r\n")[0], head
        while data := await reader.read(65536):
            for kind, entry, ids[number] in stream.add(data):
                if kind != "ready":
                    told.append(entry)
                elif not begins[number]:
                    begins[number] = ids[number]
            ids[number] = stream.last_id or ids[number]
    except (OSError, asyncio.IncompleteReadError) as broke:
        why = repr(broke)
    finally:
        if writer:
            writer.close()
    must_have_died(process, why)


class Crowd:
    """A thousand who watch, in one thread; they come again when orreryd was away."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.told = [[] for _ in range(WATCHERS)]
        self.ids = [""] * WATCHERS
        self.begins = [""] * WATCHERS
        self.failures = []
        self.thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)
        self.thread.start()

    async def _all(self):
        self.loop = asyncio.get_running_loop()
        self.over = asyncio.Event()
        everyone = asyncio.gather(*(self._one(number) for number in range(WATCHERS)))
        await self.over.wait()
        everyone.cancel()
        await asyncio.gather(everyone, return_exceptions=True)

    async def _one(self, number):
        while True:
            try:
                await watch_once(self.daemon, self.begins, self.ids, number, self.told[number])
            except Exception as why:  # noqa: BLE001 - told by `finish`
                self.failures.append(repr(why))
                return
            await asyncio.sleep(POLL)

    def finish(self, wanted):
        """Waits until all are told that, as far as it is behind where they began, and ends; what
        they were to be told, and whether they were, by where they began."""
        counts = {begin: len(behind(wanted, begin)) for begin in set(self.begins)}
        wait_until("all are told", lambda: self.failures or all(
            len(told) >= counts[begin] for begin, told in zip(self.begins, self.told)))
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()
        assert not self.failures, self.failures[:3]


def metric(daemon, name):
    text = daemon.request("GET", "/metrics")[2]
    return float(next(line.split()[1] for line in text.splitlines()
                      if line.startswith(name + " ")))


def digest(entries):
    return hashlib.sha256(json.dumps(by_partition(entries), sort_keys=True).encode()).hexdigest()


def a_thousand_watch_one_orreryd():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= 2 * WATCHERS, f"this machine allows {hard} open files"
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * WATCHERS), hard))
    with scratch() as folder, contextlib.ExitStack() as kept:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        make_site(daemon, prefix="10.98.0.0/24", number=2)
        before = metric(daemon, "process_resident_memory_bytes")
        settled_timeline(daemon)
        crowd = Crowd(daemon)
        for _ in range(UNREADING):
            one = kept.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))
            one.sendall(request_bytes(daemon, "?after=0/0"))
        wait_until("all watch", lambda: metric(daemon, "orrery_watchers") == WATCHERS + UNREADING)

        def work(first):
            slowest = 0
            for number in range(first, first + 20):
                began = time.monotonic()
                daemon.change("POST", "/v1/vms", vm_body(f"vm-{number}", number=1 + number % 2))
                daemon.get("/v1/vms")
                slowest = max(slowest, time.monotonic() - began)
            return slowest

        slowest = work(0)
        settled_timeline(daemon)
        most = metric(daemon, "process_resident_memory_bytes")
        sent = metric(daemon, "orrery_watch_messages_total")
        assert most - before < MEMORY_MAX, (before, most)
        daemon.kill()
        daemon.start()
        slowest = max(slowest, work(20))
        wanted = settled_timeline(daemon)
        crowd.finish(wanted)
        kept.close()
        last = timeline(daemon)
        expected = {begin: digest(behind(last, begin)) for begin in set(crowd.begins)}
        for begin, told in zip(crowd.begins, crowd.told):
            if digest(told) != expected[begin]:
                assert_same(told, behind(wanted, begin), behind(last, begin))
        wait_until("nobody watches", lambda: metric(daemon, "orrery_watchers") == 0)
        daemon.finish()
        events = min(map(len, crowd.told))
        return (f"{WATCHERS} watchers, {events} events each, {sent:.0f} messages before the kill, "
                f"{(most - before) / 2**20:.0f} MiB more, slowest change and read "
                f"{slowest:.2f} s")


if __name__ == "__main__":
    sys.exit(run_tests([
        changes_are_seen_in_order_as_they_happen,
        what_is_told_of_can_be_read,
        bad_questions_are_refused,
        each_event_is_told_once_whatever_is_killed,
        the_command_line_follows_across_a_restart,
        a_thousand_watch_one_orreryd,
        *([a_position_goes_on_at_another_orreryd] if harness.IS_ON_KAFKA else []),
    ]))
