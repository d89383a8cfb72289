"""The bench lines on a whole orreryd with many VMs of the simulated hypervisor, over HTTP:
`idle_vm`, `list`, `growth`. Prints a JSON list."""

import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from harness import Daemon, EmbeddedLog, make_site, vm_body, wait_until  # noqa: E402
from kafka import cpu_seconds, row  # noqa: E402

CONFIG = "[simulated]\nverb_microseconds = 0\n"
SITES = 2  # a /16 has room for 65,533 VMs, a node for 65,536 virtual CPUs
NODE = {"vcpus": 65_536, "memoryMib": 1 << 29}
CONNECTIONS = 32  # requests under way while VMs are made or commanded
PATIENCE_S = 60
LOOKS = 200  # of each kind in one run
CALM_S = 0.5  # for so long a process that is done does next to nothing
CALM_CPU_S = 0.03
SPEED_S = 3
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
GENTLE = multiprocessing.get_context("fork")


class Connection:
    """A connection that is kept, with as little of our own time as Python lets us."""

    def __init__(self, port, token):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"

    def send(self, method, path, body=None):
        content = "" if body is None else json.dumps(body)
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\n{self.head}"
                            f"Content-Length: {len(content)}\r\n\r\n{content}".encode())

    def answer(self):
        """(status, body, whole answer)."""
        got = b""
        while (end := got.find(b"\r\n\r\n")) < 0:
            got += self.more()
        size = end + 4 + int(LENGTH.search(got, 0, end + 2).group(1))
        while len(got) < size:
            got += self.more()
        return int(got[9:12]), got[end + 4:], got

    def more(self):
        came = self.socket.recv(1 << 16)
        if not came:
            raise SystemExit("scale: orreryd closed a connection")
        return came

    def get(self, path):
        self.send("GET", path)
        status, body, _ = self.answer()
        if status != 200:
            raise SystemExit(f"scale: {path}: {status}: {body.decode()}")
        return json.loads(body)


class Crowd:
    """Connections on each of which one change at a time is under way."""

    def __init__(self, port, token):
        self.connections = [Connection(port, token) for _ in range(CONNECTIONS)]

    def change(self, changes):
        """At most as many (method, path, body) as there are connections; those that come too early
        again, until all are taken."""
        deadline = time.monotonic() + PATIENCE_S
        while changes:
            for connection, change in zip(self.connections, changes):
                connection.send(*change)
            later = []
            for connection, change in zip(self.connections, changes):
                status, body, _ = connection.answer()
                if status == 202:
                    continue
                if json.loads(body)["retryable"] and time.monotonic() < deadline:
                    later.append(change)
                else:
                    raise SystemExit(f"scale: {change}: {status}: {body.decode()}")
            if later:
                time.sleep(0.05)
            changes = later


def switching_of(vm, is_off):
    return "POST", f"/v1/vms/vm-{vm:06}:{'start' if is_off else 'stop'}", None


class Site:
    """An orreryd whose VMs become more and more."""

    def __init__(self, folder):
        self.daemon = Daemon(folder, CONFIG, log=EmbeddedLog())
        settings = self.daemon.config.read_text()  # snapshots as often as orreryd itself wants them
        self.daemon.config.write_text(settings.replace("snapshot_interval = 10\n", ""))
        self.vms = 0
        self.off = set()  # VMs, by their numbers

    def start(self):
        self.daemon.start()
        for number in range(1, SITES + 1):
            make_site(self.daemon, prefix=f"10.{97 + number}.0.0/16", node=NODE, number=number)

    @property
    def pid(self):
        return self.daemon.process.pid

    def change_all(self, changes):
        crowd = Crowd(self.daemon.port, self.daemon.token())  # orreryd ends those that are silent
        for at in range(0, len(changes), CONNECTIONS):
            crowd.change(changes[at:at + CONNECTIONS])

    def grow(self, vms):
        """Makes VMs until there are so many, and waits until all answer and nothing is to do."""
        self.change_all([("POST", "/v1/vms", vm_body(f"vm-{i:06}", number=1 + i % SITES))
                         for i in range(self.vms, vms)])
        self.vms = vms
        self.rest()

    def calm(self):
        def is_calm():
            before = cpu_seconds(self.pid)
            time.sleep(CALM_S)
            return cpu_seconds(self.pid) - before <= CALM_CPU_S
        wait_until("orreryd comes to rest", is_calm)

    def write_to_each(self):
        """Stops each that runs, starts each that is off."""
        self.change_all([switching_of(i, i in self.off) for i in range(self.vms)])
        self.off ^= set(range(self.vms))
        self.rest()

    def rest(self):
        wait_until("every job ends", lambda: not self.daemon.get(
            "/v1/jobs?state=RUNNING&pageSize=1")["jobs"])
        self.calm()

    def connection(self):
        return Connection(self.daemon.port, self.daemon.token())

    def pages(self, query=""):
        """The paths of all pages of VMs."""
        connection, paths, path = self.connection(), [], f"/v1/vms?pageSize=100{query}"
        first = path
        while path:
            paths.append(path)
            token = connection.get(path).get("nextPageToken")
            path = f"{first}&pageToken={token}" if token else None
        return paths

    def resident(self):
        """Bytes of its memory that are there."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


@contextlib.contextmanager
def site_in(folder):
    site = Site(folder)
    try:
        site.start()
        yield site
    finally:
        if site.daemon.process:
            site.daemon.stop()


def quantile(values, part):
    return sorted(values)[round(part * (len(values) - 1))]


def sizes(vms):
    """1,000, 10,000, 100,000, or as far apart below."""
    return vms // 100, vms // 10, vms


# --- idle_vm -------------------------------------------------------------------------------------


def idle_vm(folder, vms, _runs):
    load = os.getloadavg()[0]
    few, held = sizes(vms)[0], []
    with site_in(folder) as site:
        for count in (few, vms):
            site.grow(count)
            site.pages()
            site.write_to_each()
            held.append(site.resident())
        one = len(json.dumps(site.daemon.get("/v1/vms/vm-000000")))
    each = (held[1] - held[0]) / (vms - few)
    return [row("idle_vm", f"memory of orreryd for one more VM, from {few:,} to {vms:,} of them",
                "B", each, load, yardstick=one, yardstick_what="what GET says of it, as JSON",
                ratio=each / one)]


# --- list ----------------------------------------------------------------------------------------


def command(port, token, vms, rate, told):
    """Stops and starts VMs, in turn, at a rate or (0) as fast as it goes: until killed, telling how
    many were answered."""
    crowd, done = Crowd(port, token), 0
    while True:
        began = time.monotonic()
        first, is_off = done % vms, done // vms % 2 == 1
        many = min(CONNECTIONS, vms - first)
        crowd.change([switching_of(vm, is_off) for vm in range(first, first + many)])
        done += many
        told.value = done
        if rate.value:
            time.sleep(max(0.0, began + many / rate.value - time.monotonic()))


class Commands:
    """Commands from a process of their own, at full speed at first."""

    def __init__(self, site):
        self.rate = GENTLE.Value("d", 0)
        self.told = GENTLE.Value("q", 0)
        self.process = GENTLE.Process(
            target=command, daemon=True,
            args=(site.daemon.port, site.daemon.token(), site.vms, self.rate, self.told))
        self.process.start()

    def answered(self):
        """Commands a second, over a few seconds."""
        before, began = self.told.value, time.monotonic()
        time.sleep(SPEED_S)
        done = self.told.value - before
        if done == 0 or not self.process.is_alive():
            raise SystemExit("scale: the commands stand still")
        return done / (time.monotonic() - began)

    def end(self):
        self.process.terminate()
        self.process.join()


def repeat(listener, answer):
    """Gives the same bytes to every request on one connection."""
    with listener.accept()[0] as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while peer.recv(1 << 16):
            peer.sendall(answer)


def look(connection, paths, count):
    """Milliseconds of each of so many reads."""
    found = []
    for _ in range(count):
        path = random.choice(paths)
        began = time.monotonic()
        connection.send("GET", path)
        status, body, _ = connection.answer()
        found.append((time.monotonic() - began) * 1000)
        if status != 200:
            raise SystemExit(f"scale: {path}: {status}: {body.decode()}")
    return found


def look_at_repeater(site, path, count):
    """The same by a process that only sends what orreryd once sent."""
    connection = site.connection()
    connection.send("GET", path)
    answer = connection.answer()[2]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = GENTLE.Process(target=repeat, args=(listener, answer), daemon=True)
        process.start()
        found = look(Connection(listener.getsockname()[1], ""), [path], count)
        process.terminate()
        process.join()
    return found


def latencies(site, paths, runs):
    """Of each run: (p99, p50) of orreryd, and of the process that repeats it."""
    pairs = []
    for _ in range(runs):
        ours = look(site.connection(), paths, LOOKS)
        same = look_at_repeater(site, paths[0], LOOKS)
        pairs.append([(quantile(one, 0.99), quantile(one, 0.5)) for one in (ours, same)])
    return pairs


def rows_of(name, what, pairs, load):
    return [row(name + suffix, f"{what}: {part} of 100 reads within", "ms",
                statistics.median(one[0][at] for one in pairs), load,
                yardstick=statistics.median(one[1][at] for one in pairs),
                yardstick_what="the same bytes by a process that only sends them",
                ratio=statistics.median(one[0][at] / one[1][at] for one in pairs))
            for at, (suffix, part) in enumerate((("", 99), (".p50", 50)))]


def list_vms(folder, vms, runs):
    rows = []
    with site_in(folder) as site:
        site.grow(vms)
        load = os.getloadavg()[0]
        kinds = {
            "list": ("a page of 100", site.pages()),
            "list.state": ("a page of 100 reachable ones", site.pages("&observed=REACHABLE")),
            "list.name": ("those of one name", [f"/v1/vms?name=vm-{i:06}" for i in range(vms)]),
            "list.get": ("one VM", [f"/v1/vms/vm-{i:06}" for i in range(vms)])}
        commands = Commands(site)
        try:
            commands.rate.value = rate = commands.answered() / 2
            for name, (what, paths) in kinds.items():
                about = f"{what} of {vms:,} VMs, beside {rate:,.0f} commands/s (half speed)"
                rows += rows_of(name, about, latencies(site, paths, runs), load)
            commands.answered()
        finally:
            commands.end()
    return rows


# --- growth --------------------------------------------------------------------------------------


def costs(site, count, last, runs):
    """(CPU ms to make a VM, ms of a page, bytes resident) when there come to be so many; the CPU
    time is that of the last ones."""
    site.grow(count - last)
    before = cpu_seconds(site.pid)
    site.grow(count)
    made = (cpu_seconds(site.pid) - before) / last * 1e3
    page = quantile(look(site.connection(), site.pages(), LOOKS * runs), 0.5)
    return made, page, site.resident()


def growth(folder, vms, runs):
    """What one VM costs among few, more, and many."""
    load = os.getloadavg()[0]
    cost = {"create": [], "page": [], "memory": []}
    with site_in(folder) as site:
        base = (0, site.resident())
        for count in sizes(vms):
            made, page, held = costs(site, count, sizes(vms)[0], runs)
            cost["create"].append(made)
            cost["page"].append(page)
            cost["memory"].append((held - base[1]) / (count - base[0]))
            base = (count, held)
    whats = (("create", "growth", "CPU of orreryd to make one VM", "ms"),
             ("page", "growth.page", "a page of 100 VMs, median", "ms"),
             ("memory", "growth.memory", "memory for one VM more", "B"))
    rows = []
    for kind, name, what, unit in whats:
        few, more, many = cost[kind]
        for suffix, value, count in (("", many, vms), (".middle", more, sizes(vms)[1])):
            rows.append(row(name + suffix, f"{what}, up to {count:,}", unit, value, load,
                            yardstick=few, yardstick_what=f"the same up to {sizes(vms)[0]:,}",
                            ratio=value / few if few else None))
    return rows


LINES = {"idle_vm": idle_vm, "list": list_vms, "growth": growth}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("line", choices=LINES)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scratch", default="/var/tmp")
    parser.add_argument("--vms", type=int, default=100_000, help="at most, at least 200")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # orreryd ends with us
    with tempfile.TemporaryDirectory(prefix="orrery-scale-", dir=wanted.scratch) as folder:
        print(json.dumps(LINES[wanted.line](folder, wanted.vms, wanted.runs), indent=2))


if __name__ == "__main__":
    main()
