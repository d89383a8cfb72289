"""The bench line `boot`: from the API call to the guest's start, on a real node with KVM or TCG,
against virsh, which defines and starts the very same domain. Needs root. Prints a JSON list."""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from virtual_node import LIB, Site, VirtualNode, domain_of, remove, run  # noqa: E402


class Virsh:
    """A virsh inside the node that is connected already, as orreryd is."""

    def __init__(self, node):
        self.process = subprocess.Popen(
            ["nsenter", "--target", str(node.pid_of("keeper")), "--net", "--mount", "virsh", "-c",
             "qemu:///system"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.ask("uri", "qemu:///system\n")

    def ask(self, words, expected):
        """Sends a command and waits for the line that says it was done."""
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if line == "" or line.startswith("error:"):
                raise SystemExit(f"boot: virsh: {words}: {line.strip() or 'it ended'}")
            if line.endswith(expected):
                return

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def started_at(site, name):
    """When the log says that the guest started, in seconds since 1970."""
    events = site.daemon.get(f"/v1/events?resource={name}&pageSize=100")["events"]
    return seconds_of([one["time"] for one in events if one["type"] == "vm.started"][0])


def run_once(site, node, folder):
    """(ms by the API, ms by virsh)."""
    name = "boot"
    began = time.time()
    job = site.daemon.change("POST", "/v1/vms", site.body(name))
    site.done(job, "reachable")
    by_api = started_at(site, name) - began
    domain = domain_of(site.daemon.vm(name))
    definition = folder / "domain.xml"
    definition.write_text(node.virsh("dumpxml", "--inactive", domain))
    site.act("stop", name)
    node.virsh("undefine", domain)
    virsh = Virsh(node)
    began = time.monotonic()
    virsh.ask(f"define {definition}", f"defined from {definition}\n")
    virsh.ask(f"start {domain}", " started\n")
    by_virsh = time.monotonic() - began
    virsh.end()
    node.virsh("destroy", domain)
    site.act("delete", name)
    return by_api * 1000, by_virsh * 1000


def measure(runs):
    load = os.getloadavg()[0]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="orrery-boot-", dir="/var/tmp"))
    folder.chmod(0o755)  # guests run as libvirt-qemu and read their image in it
    node = VirtualNode(folder, f"bo{os.getpid()}")
    site = None
    try:
        images = folder / "images"
        run(LIB / "guest-image", images, "good")
        acceleration = run(LIB / "probe-acceleration", images / "good").splitlines()[0]
        node.up()
        site = Site(folder / "site", node, images, acceleration)
        run_once(site, node, folder)  # caches are warm for both
        pairs = [run_once(site, node, folder) for _ in range(runs)]
    finally:
        if site:
            site.end()
        if node.directory.is_dir():
            node.clean()
            node.down()
        remove(folder)
    return [{
        "id": "boot", "what": f"API call to guest started ({acceleration})",
        "value": statistics.median(api for api, _ in pairs), "unit": "ms",
        "yardstick": statistics.median(virsh for _, virsh in pairs),
        "yardstick_what": "virsh defines and starts the same domain",
        "ratio": statistics.median(api / virsh for api, virsh in pairs),
        "cpu_seconds_per_million": None, "load": load}]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    wanted = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("boot: a node needs root: run it with sudo")
    print(json.dumps(measure(wanted.runs), indent=2))


if __name__ == "__main__":
    main()
