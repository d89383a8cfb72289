"""The real programs under test: one orreryd with its directory, its API, its invariants.

Standard library only. With ORRERY_ENGINE=kafka every log is one of its own on a real Kafka, which
`run_tests` starts and ends; else it is the embedded one.
"""

import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Limits are generous: they end a test that hangs, they measure nothing.
START_LIMIT = 120
JOB_LIMIT = 240
POLL = 0.05
DAYS_AROUND = 1800  # a clock may be moved by a year; a question is about ten at most


def moment(days):
    """So many days from now, at midnight, as the API takes it."""
    day = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return day.strftime("%Y-%m-%dT00:00:00Z")


AROUND_NOW = (moment(-DAYS_AROUND), moment(DAYS_AROUND))  # all that a test does lies within


def micros_of(text):
    """Microseconds since 1970 of a time as the API writes it: with no, three or six digits behind
    the second, so that two of them cannot be compared as texts."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    read = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return int(read.timestamp()) * 1_000_000 + int((fraction + "000000")[:6])


def program(name):
    """A built program. ORRERY_BUILD names another build than the release one."""
    build = pathlib.Path(os.environ.get("ORRERY_BUILD", ROOT / "build" / "release"))
    for candidate in build.rglob(name):
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    raise SystemExit(f"{name} is not in {build}: cmake --build {build} --target {name}")


sys.path.insert(0, str(ROOT / "tests" / "kafka"))
from cluster import cluster, fetch, random_id  # noqa: E402,F401 (the path comes first)

IS_ON_KAFKA = os.environ.get("ORRERY_ENGINE") == "kafka"
BROKERS = None  # one Kafka for all tests of a program; each has topics of its own


class EmbeddedLog:
    """The log of one orreryd, in its data directory."""

    config = ""

    @staticmethod
    def arguments(data):
        """For check_log."""
        return [str(data / "log")]


class KafkaLog:
    """A fresh log on Kafka."""

    def __init__(self, servers, partitions, replication=1):
        self.servers = servers
        self.prefix = "t" + random_id().replace("_", "x").replace("-", "y")
        made = subprocess.run(
            [program("orrery"), "log", "init", "--kafka", servers, "--prefix", self.prefix,
             "--partitions", str(partitions), "--replication", str(replication)],
            capture_output=True, text=True, timeout=START_LIMIT, check=False)
        assert made.returncode == 0, made
        self.config = (f'[kafka]\nservers = "{servers}"\nprefix = "{self.prefix}"\n'
                       f"replication = {replication}\n")

    def arguments(self, _data):
        return ["--kafka", self.servers, "--prefix", self.prefix]


def fresh_log():
    """On the engine of this run; with as many partitions as the embedded one has."""
    return KafkaLog(BROKERS.servers(), 5) if IS_ON_KAFKA else EmbeddedLog()


class Died(Exception):
    """The daemon ended while it was asked."""


def wait_until(what, condition, limit=JOB_LIMIT):
    """Waits for a condition and gives its (true) value."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit} s: {what}")
        time.sleep(POLL)


class Daemon:
    """One orreryd on one directory. Started and killed as often as a test likes."""

    def __init__(self, directory, config="", prefix=(), log=None):
        self.log = log or fresh_log()
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data = self.directory / "data"
        self.token_file = self.directory / "token"
        self.config = self.directory / "orreryd.toml"
        self.prefix = list(prefix)
        self.process = None
        self.port = None
        self.lines = None
        self.errors = self.directory / "orreryd.log"
        self.config.write_text(
            f'data_directory = "{self.data}"\n'
            f'listen = "127.0.0.1:0"\ntoken_file = "{self.token_file}"\n'
            "snapshot_interval = 10\n" + config + "\n"
            + self.log.config)

    def start(self, *arguments, environment=None):
        """Starts it and waits until the API answers."""
        self.launch(*arguments, environment=environment)
        return self.await_ready()

    def await_ready(self):
        try:
            line = self.expect_line("ready: ")
        except BaseException:
            self.kill()  # nobody knows of it but us
            raise
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def launch(self, *arguments, environment=None):
        self.port = None  # until it is ready: nobody answers at the last one
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(
                [*self.prefix, program("orreryd"), "--config", str(self.config), *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
                env=dict(os.environ, **(environment or {})))
        self.lines = queue.Queue()
        threading.Thread(target=self._pump, args=(self.process.stdout, self.lines),
                         daemon=True).start()

    @staticmethod
    def _pump(stream, lines):
        for line in stream:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    def expect_line(self, start):
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                line = self.lines.get(timeout=max(0.1, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line '{start}' within {START_LIMIT} s") from None
            if line is None:
                self.process.wait()
                raise Died(f"ended with {self.process.returncode}: {self.last_errors()}")
            if line.startswith(start):
                return line

    def last_errors(self):
        return self.errors.read_text(errors="replace")[-2000:]

    def arm(self):
        """Arms the point given with --crash-on-signal."""
        self.process.send_signal(signal.SIGUSR2)
        self.expect_line("armed")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=START_LIMIT)
        return self.process.returncode

    def is_dead(self):
        return self.process.poll() is not None

    def token(self):
        return self.token_file.read_text().strip()

    def connection(self, timeout=START_LIMIT):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, raw=None, timeout=START_LIMIT):
        """(status, headers, parsed body or text)."""
        connection = self.connection(timeout)
        sent = {"Authorization": "Bearer " + self.token(), **(headers or {})}
        content = raw if raw is not None else (json.dumps(body) if body is not None else None)
        try:
            connection.request(method, path, body=content, headers=sent)
            reply = connection.getresponse()
            text = reply.read().decode()
        except (ConnectionError, http.client.HTTPException, OSError) as failure:
            raise Died(str(failure)) from failure
        finally:
            connection.close()
        kind = reply.getheader("Content-Type", "")
        parsed = json.loads(text) if "json" in kind and text else text
        return reply.status, dict(reply.getheaders()), parsed

    def command(self, *words):
        """`orrery` that asks this daemon."""
        return [program("orrery"), "--url", f"http://127.0.0.1:{self.port}", "--token-file",
                str(self.token_file), *words]

    def orrery(self, *words, wanted=0):
        """Runs it until it ends, with that status; what it printed."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=600,
                              check=False)
        assert done.returncode == wanted, (words, done)
        return done

    def get(self, path):
        status, _, body = self.request("GET", path)
        assert status == 200, (path, status, body)
        return body

    def change(self, method, path, body=None, key=None):
        """A change that must be accepted; its job."""
        headers = {"Idempotency-Key": key} if key else {}
        status, _, reply = self.request(method, path, body, headers)
        assert status == 202, (method, path, status, reply)
        return reply["job"]

    def refused(self, method, path, body=None, raw=None):
        """A change that must be refused; its problem."""
        status, _, reply = self.request(method, path, body, raw=raw)
        assert 400 <= status < 600, (method, path, status, reply)
        return reply

    def ended(self, job_id, limit=JOB_LIMIT):
        """The job once it has ended."""
        def look():
            job = self.get(f"/v1/jobs/{job_id}")
            return job if job["state"] != "RUNNING" else None
        return wait_until(f"job {job_id} ends", look, limit)

    def settle(self, limit=JOB_LIMIT):
        """Waits until no job runs and nothing is being removed."""
        def quiet():
            jobs = self.get("/v1/jobs?state=RUNNING")["jobs"]
            vms = self.get("/v1/vms")["vms"]
            return not jobs and not [vm for vm in vms if vm["desired"] == "DELETED"]
        wait_until("everything settles", quiet, limit)

    def vm(self, name):
        status, _, body = self.request("GET", f"/v1/vms/{name}")
        return body if status == 200 else None

    def vm_state(self, name):
        vm = self.vm(name)
        return vm["observed"]["state"] if vm else None

    def await_vm(self, name, state, limit=JOB_LIMIT):
        wait_until(f"{name} is {state}", lambda: self.vm_state(name) == state, limit)

    def everything(self):
        """The body of every GET of stored things, byte for byte."""
        usage = f"/v1/usage?from={AROUND_NOW[0]}&to={AROUND_NOW[1]}"
        paths = ["/v1/installation", "/v1/clusters", "/v1/nodes", "/v1/networks", "/v1/vms",
                 "/v1/jobs", "/v1/events", "/v1/hypervisors", usage, f"{usage}&by=vm",
                 f"{usage}&by=total"]
        bodies = {}
        for first in paths:
            path = first
            while path:
                connection = self.connection()
                connection.request("GET", path, headers={"Authorization": "Bearer " + self.token()})
                text = connection.getresponse().read()
                connection.close()
                bodies[path] = text
                reply = json.loads(text)
                token = reply.get("nextPageToken")
                base = path.split("?")[0]
                for kind in ("clusters", "nodes", "networks", "vms", "jobs"):
                    for item in reply.get(kind, []) if base == f"/v1/{kind}" else []:
                        paths += [f"/v1/{kind}/{item['id']}", f"/v1/events?resource={item['id']}"]
                more = "&" if "?" in first else "?"
                path = f"{first}{more}pageToken={token}" if token else None
        return bodies

    def refold(self, projection, verb):
        """Has a projection folded again, and waits for it; the rows must be what the log says."""
        path = f"/v1/projections/{projection}"
        status, _, body = self.request("POST", f"{path}:{verb}")
        assert status == 202, body
        wait_until(f"{verb} of {projection}",
                   lambda: self.get(path)["work"]["state"] != "RUNNING", JOB_LIMIT)
        work = self.get(path)["work"]
        assert work["state"] == "DONE", work
        return work

    def worlds(self):
        folder = self.directory / "simulated"
        return [str(one) for one in sorted(folder.iterdir())] if folder.is_dir() else []

    def check_invariants(self, with_worlds=True):
        """Runs every invariant over the stopped daemon's log; the digest of the folded state."""
        found = self.worlds() if with_worlds else []
        worlds = [part for one in found for part in ("--world", one)]
        done = subprocess.run([program("check_log"), *self.log.arguments(self.data), *worlds],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split()[1]

    def finish(self, with_worlds=True):
        """What every fixture ends with: the live process agrees with the log; all is stopped; the
        projections, deleted and rebuilt by a process that only reads, give the same bytes; the
        invariants hold."""
        status = self.get("/v1/status?digest=true")
        self.stop()
        digest = self.check_invariants(with_worlds)
        self.start("--read-only")
        before = self.everything()
        again = self.get("/v1/status?digest=true")
        assert again["stateDigest"] == digest, "a reader folds another state than the checker"
        if again["position"] == status["position"]:
            assert again["stateDigest"] == status["stateDigest"], "replay gives another state"
        refused, _, _ = self.request("POST", "/v1/clusters", {"name": "x", "hypervisor": "kvm"})
        assert refused >= 400, "a reader took a change"
        names = [one["name"] for one in self.get("/v1/projections")["projections"]]
        self.refold(random.choice(names), "verify")  # each comes up often enough
        self.stop()
        shutil.rmtree(self.data / "projections")
        self.start("--read-only")
        after = self.everything()
        self.stop()
        assert before.keys() == after.keys(), before.keys() ^ after.keys()
        for path, body in before.items():
            assert body == after[path], f"{path} differs after a rebuild:\n{body}\n{after[path]}"


SIMULATED = '[simulated]\ndirectory = "{directory}/simulated"\nverb_microseconds = 5000\n'


def simulated_daemon(directory, extra="", prefix=(), log=None):
    return Daemon(directory, extra + SIMULATED.format(directory=directory), prefix, log)


def make_site(daemon, kind="simulated", prefix="10.99.0.0/24", node=None, number=1):
    """Cluster, node in sight, network; all named by the number."""
    cluster = f"c{number}"
    daemon.change("POST", "/v1/clusters", {"name": cluster, "hypervisor": kind})
    daemon.change("POST", "/v1/nodes", {"name": f"n{number}", "cluster": cluster, **(node or {})})
    make_network(daemon, number, prefix)
    wait_until("the node is in sight",
               lambda: daemon.get(f"/v1/nodes/n{number}")["state"] == "CONNECTED")


def make_network(daemon, number, prefix, **more):
    """The network of the site with that number, ready."""
    job = daemon.change("POST", "/v1/networks",
                        {"name": f"net{number}", "cluster": f"c{number}", "prefix": prefix, **more})
    job = daemon.ended(job["id"])
    assert job["state"] == "DONE", job


def vm_body(name="web-1", image="tiny", vcpus=1, memory=64, number=1):
    """A VM of the site with that number."""
    return {"name": name, "cluster": f"c{number}", "network": f"net{number}", "image": image,
            "vcpus": vcpus, "memoryMib": memory}


def partition_of(identifier):
    """The partition of the log in which a thing lives: bits of its UUIDv7."""
    return int(identifier.rsplit("_", 1)[1].split("-")[2][1:], 16)


def scratch():
    return tempfile.TemporaryDirectory(prefix="orrery-test-")


def seed():
    """The seed of this run: ORRERY_SEED, or a new one; printed, so that it can be repeated."""
    chosen = int(os.environ.get("ORRERY_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {chosen}", flush=True)
    return random.Random(chosen)


def run_tests(tests, workers=1, after=()):
    """Runs functions (or (name, function) pairs), prints a line for each and the closing count; the
    exit status. `after` run one by one when all others are done."""
    global BROKERS  # started by this thread: they die with the one that started them
    BROKERS = cluster(1, False) if IS_ON_KAFKA else None
    named = [one if isinstance(one, tuple) else (one.__name__, one) for one in tests]
    wanted = [one for one in sys.argv[1:] if not one.startswith("-")]
    if wanted:
        named = [one for one in named if any(part in one[0] for part in wanted)]
    failed = 0

    def run(one):
        began = time.monotonic()
        try:
            note = one[1]()
            return one[0], None, time.monotonic() - began, note
        except BaseException:  # noqa: BLE001 - a test may fail in any way
            return one[0], traceback.format_exc(), time.monotonic() - began, None

    def report(name, failure, took, note):
        word = "not ok" if failure else "ok"
        print(f"{word} {name} ({took:.1f} s{'; ' + str(note) if note else ''})", flush=True)
        if failure:
            print(failure, flush=True)
        return bool(failure)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for outcome in pool.map(run, named):
            failed += report(*outcome)
    for one in after:
        named.append(one)
        failed += report(*run((one.__name__, one)))
    if BROKERS:
        BROKERS.end()
    print(f"{len(named) - failed} passed, {failed} failed", flush=True)
    return 1 if failed or not named else 0


def fresh_key():
    return str(uuid.uuid4())
