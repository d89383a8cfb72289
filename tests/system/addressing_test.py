#!/usr/bin/env python3
"""Who has which address, on the real programs: asked for by name, reserved, at rest, refused.

Usage: addressing_test.py [PART OF A TEST'S NAME …]
"""

import sys

from harness import make_site, run_tests, scratch, simulated_daemon, vm_body, wait_until


def make_vm(daemon, name, address=None):
    """The address that it was given."""
    wish = vm_body(name) | ({"address": address} if address else {})
    job = daemon.ended(daemon.change("POST", "/v1/vms", wish)["id"])
    assert job["state"] == "DONE", job
    return daemon.vm(name)["address"]


def delete_vm(daemon, name):
    assert daemon.ended(daemon.change("DELETE", f"/v1/vms/{name}")["id"])["state"] == "DONE"


def on_network(daemon, verb, **body):
    job = daemon.change("POST", f"/v1/networks/net1:{verb}", body)
    assert job["state"] == "DONE", job
    return job


def counts(daemon):
    subnet = daemon.get("/v1/networks/net1")["subnets"][0]
    return tuple(subnet["addresses" + one] for one in ("Free", "Taken", "Reserved"))


def addresses_are_given_reserved_and_counted():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon, prefix="10.99.0.0/28")  # .2 to .14 for guests
        assert counts(daemon) == (13, 0, 0)
        on_network(daemon, "reserve", ranges=["10.99.0.1-10.99.0.4", "10.99.0.10"], note="old")
        assert counts(daemon) == (9, 0, 4), "the gateway is nobody's anyway"
        assert make_vm(daemon, "a") == "10.99.0.5"
        assert make_vm(daemon, "b", "10.99.0.10") == "10.99.0.10"
        assert counts(daemon) == (8, 2, 3)
        shown = daemon.get("/v1/networks/net1")["subnets"][0]["reserved"]
        assert shown == [{"first": "10.99.0.1", "last": "10.99.0.4", "note": "old"},
                         {"first": "10.99.0.10", "last": "10.99.0.10", "note": "old"}], shown
        on_network(daemon, "free", ranges=["10.99.0.1-10.99.0.4"])
        assert counts(daemon) == (11, 2, 0)
        delete_vm(daemon, "b")
        assert counts(daemon) == (11, 1, 1)
        taken = [make_vm(daemon, f"vm-{number}") for number in range(11)]
        assert len(set(taken)) == 11 and "10.99.0.10" not in taken, taken
        said = daemon.refused("POST", "/v1/vms", vm_body("one-more"))
        assert said["code"] == "addresses_exhausted", said
        assert make_vm(daemon, "by-name", "10.99.0.10") == "10.99.0.10"
        assert counts(daemon) == (0, 13, 0)
        told = [(one["type"], one["detail"]) for one in
                daemon.get("/v1/events?resource=net1&pageSize=1000")["events"]
                if one["type"].startswith("network.ranges")]
        assert told == [
            ("network.ranges_reserved", "10.99.0.1-10.99.0.4 (old), 10.99.0.10 (old)"),
            ("network.ranges_freed", "10.99.0.1-10.99.0.4 (old)")], told
        daemon.finish()


def released_addresses_rest():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon, prefix="10.99.0.0/29")  # .2 to .6
        on_network(daemon, "setQuarantine", seconds=86_400)
        assert daemon.get("/v1/networks/net1")["quarantineSeconds"] == 86_400
        gone = make_vm(daemon, "gone")
        delete_vm(daemon, "gone")
        others = {make_vm(daemon, f"vm-{number}") for number in range(4)}
        assert gone not in others and len(others) == 4, (gone, others)
        said = daemon.refused("POST", "/v1/vms", vm_body("next"))
        assert said["code"] == "addresses_exhausted" and "has rested" in said["detail"], said
        said = daemon.refused("POST", "/v1/vms", vm_body("next") | {"address": gone})
        assert said["code"] == "conflict" and "rests until" in said["detail"], said
        # It is remembered over a restart, and nothing that is released from now on rests.
        daemon.stop()
        daemon.start()
        on_network(daemon, "setQuarantine", seconds=0)
        daemon.refused("POST", "/v1/vms", vm_body("next") | {"address": gone})
        freed = daemon.vm("vm-0")["address"]
        delete_vm(daemon, "vm-0")
        assert make_vm(daemon, "next") == freed
        daemon.finish()


def addresses_that_cannot_be_are_refused():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        make_vm(daemon, "web-1")
        on_network(daemon, "reserve", ranges=["10.99.0.20-10.99.0.30"], note="printers")
        before = daemon.get("/v1/status")["position"]
        for address, code, word in (("10.99.0.1", "invalid_argument", "no address that a VM"),
                                    ("10.99.1.7", "invalid_argument", "10.99.0.0/24"),
                                    ("10.99.0.2", "conflict", "held by a VM"),
                                    ("0.0.0.0", "invalid_argument", "leave it out for any"),
                                    ("ten", "invalid_argument", "not an IPv4 address")):
            said = daemon.refused("POST", "/v1/vms", vm_body("next") | {"address": address})
            assert said["code"] == code and word in said["detail"], (address, said)
        for verb, body, code, word in (
                ("reserve", {}, "invalid_argument", "no range to reserve"),
                ("reserve", {"ranges": "10.99.0.4"}, "invalid_argument", "'ranges' is not a list"),
                ("reserve", {"ranges": ["10.99.0.9-10.99.0.8"]}, "invalid_argument",
                 "lower end first"),
                ("reserve", {"ranges": ["10.99.0.40", "10.99.0.30-10.99.0.31"]}, "conflict",
                 "overlaps 10.99.0.20-10.99.0.30, which is reserved as 'printers'"),
                ("reserve", {"ranges": [5]}, "invalid_argument",
                 "a member of 'ranges' is not a text"),
                ("reserve", {"ranges": ["10.99.0.40"], "note": "x" * 101}, "invalid_argument",
                 "'note' is longer than 100 bytes"),
                ("reserve", {"ranges": ["10.99.0.40"] * 257}, "invalid_argument",
                 "more than 256 members"),
                ("free", {"ranges": ["10.99.0.30-10.99.0.31"]}, "not_found",
                 "10.99.0.31 is not reserved"),
                ("setQuarantine", {"seconds": 86_401}, "invalid_argument", "86400"),
                ("setQuarantine", {}, "invalid_argument", "seconds"),
                ("burn", {}, "invalid_argument", "reserve, free, setQuarantine, setGuests or")):
            said = daemon.refused("POST", f"/v1/networks/net1:{verb}", body)
            assert said["code"] == code and word in said["detail"], (verb, body, said)
        for target, word in (("/v1/vms?label=", "'label' is empty"),
                             ("/v1/vms?name=a&name=b", "'name' is given twice"),
                             ("/v1/status?x=1", "no parameter 'x'"),
                             ("/v1/vms/web-1/console?y=1", "no parameter 'y'")):
            status, _, said = daemon.request("GET", target)
            assert status == 400 and word in said["detail"], (target, said)
        said = daemon.refused("DELETE", "/v1/vms/web-1?dryRun=true")
        assert "no parameter 'dryRun'" in said["detail"], said
        daemon.refused("POST", "/v1/networks/none:reserve", {"ranges": ["10.99.0.40"]})
        assert counts(daemon) == (241, 1, 11)
        after = daemon.get("/v1/status")["position"]
        assert before != after, "what the ledger itself refuses is recorded"
        daemon.finish()


def further_addresses_come_and_go():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon, prefix="10.99.0.0/28")  # .2 to .14
        on_network(daemon, "setQuarantine", seconds=3600)

        def further():
            return daemon.vm("web-1")["furtherAddresses"]

        def change(verb, key=None, **body):
            job = daemon.change("POST", f"/v1/vms/web-1:{verb}", body, key)
            assert job["state"] == "DONE", job
        make_vm(daemon, "web-1")
        for _ in range(2):  # the second is the first again
            change("addAddress", key="once")
        assert further() == ["10.99.0.3"] and counts(daemon) == (11, 2, 0)
        change("addAddress", address="10.99.0.8/30")
        assert further() == ["10.99.0.3", "10.99.0.8/30"] and counts(daemon) == (7, 6, 0)
        for verb, address, code, word in (
                ("add", "10.99.0.9", "conflict", "held by a VM"),
                ("add", "10.99.0.12/30", "invalid_argument", "not the first, the last"),
                ("add", "10.99.0.9/30", "invalid_argument", "host bits"),
                ("add", "10.98.0.4", "invalid_argument", "10.99.0.0/28"),
                ("add", "fd00:99::5", "invalid_argument", "not an IPv4 address"),
                ("remove", "10.99.0.2", "conflict", "first address"),
                ("remove", "10.99.0.9", "not_found", "has no 10.99.0.9"),
                ("remove", "", "invalid_argument", "address")):
            said = daemon.refused("POST", f"/v1/vms/web-1:{verb}Address", {"address": address})
            assert said["code"] == code and word in said["detail"], (address, said)
        # Killed before its node has said that the port is without it, or behind that.
        change("removeAddress", address="10.99.0.8/30")
        daemon.kill()
        daemon.start()
        wait_until("the network is gone from the VM", lambda: further() == ["10.99.0.3"])
        assert daemon.vm("web-1")["leavingAddresses"] == []
        said = daemon.refused("POST", "/v1/vms/web-1:addAddress", {"address": "10.99.0.10"})
        assert "rests until" in said["detail"], said
        told = [(one["type"], one["detail"]) for one in
                daemon.get("/v1/events?resource=web-1&pageSize=1000")["events"]
                if one["type"].startswith("vm.addresses")]
        assert told == [("vm.addresses_added", "10.99.0.3"),
                        ("vm.addresses_added", "10.99.0.8/30"),
                        ("vm.addresses_removal_requested", ""),
                        ("vm.addresses_removed", "10.99.0.8/30")], told
        delete_vm(daemon, "web-1")
        assert counts(daemon) == (13, 0, 0)
        daemon.finish()


def addressing_by_the_command_line():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        used = daemon.directory / "in-use.txt"
        used.write_text("10.99.0.5  # a printer\n10.99.0.6\n10.99.0.7-10.99.0.9\n")
        daemon.orrery("network", "reserve", "net1", "--file", str(used), "--note", "before Orrery")
        shown = daemon.get("/v1/networks/net1")["subnets"][0]["reserved"]
        assert shown == [{"first": "10.99.0.5", "last": "10.99.0.9",
                          "note": "before Orrery"}], shown
        daemon.orrery("network", "quarantine", "net1", "10m")
        row = daemon.orrery("network", "list", "-o", "wide").stdout.splitlines()[1].split()
        assert {"5", "600"} <= set(row), row
        daemon.orrery("vm", "create", "web-1", "--cluster", "c1", "--image", "tiny", "--memory",
                      "64MiB", "--address", "10.99.0.7")
        assert daemon.vm("web-1")["address"] == "10.99.0.7"
        daemon.orrery("network", "free", "net1", "10.99.0.5-10.99.0.9")
        said = daemon.orrery("network", "free", "net1", "10.99.0.5-10.99.0.9", wanted=5).stderr
        assert "10.99.0.5 is not reserved" in said, said
        # A list may grow, and single addresses are freed as they were said.
        daemon.orrery("network", "reserve", "net1", "--file", str(used), "--note", "before Orrery")
        used.write_text(used.read_text() + "10.99.0.10\n")
        daemon.orrery("network", "reserve", "net1", "--file", str(used), "--note", "before Orrery")
        daemon.orrery("network", "free", "net1", "10.99.0.6")
        shown = daemon.get("/v1/networks/net1")["subnets"][0]["reserved"]
        assert [(one["first"], one["last"]) for one in shown] == [
            ("10.99.0.5", "10.99.0.5"), ("10.99.0.7", "10.99.0.10")], shown
        daemon.finish()


if __name__ == "__main__":
    sys.exit(run_tests([addresses_are_given_reserved_and_counted, released_addresses_rest,
                        addresses_that_cannot_be_are_refused, further_addresses_come_and_go,
                        addressing_by_the_command_line]))
