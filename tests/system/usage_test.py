#!/usr/bin/env python3
"""Usage on the real programs: what is metered is what the timeline tells, to the microsecond, and
stays the same when projections are lost and processes killed."""

import csv
import datetime
import io
import ipaddress
import shutil
import sys

from harness import (AROUND_NOW, make_site, micros_of, run_tests, scratch, simulated_daemon,
                     vm_body, wait_until)

STATES = {"vm.created": "ABSENT", "vm.absent": "ABSENT", "vm.defined": "STOPPED",
          "vm.stopped": "STOPPED", "vm.started": "RUNNING", "vm.reachable": "RUNNING",
          "vm.unseen": "UNKNOWN"}


def time_text(when):
    second = datetime.datetime.fromtimestamp(when // 1_000_000, datetime.timezone.utc)
    return second.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when % 1_000_000:06}Z"


def rows(daemon, begin, end, more=""):
    """All rows of a question, page by page of three."""
    found, token = [], ""
    while True:
        page = daemon.get(f"/v1/usage?from={begin}&to={end}{more}&pageSize=3{token}")
        found += page["usage"]
        if "nextPageToken" not in page:
            return found
        token = f"&pageToken={page['nextPageToken']}"


def body(daemon, end):
    """The bytes of everything up to `end`."""
    bodies = []
    for how in ("", "&by=vm", "&by=total"):
        connection = daemon.connection()
        connection.request("GET", f"/v1/usage?from={AROUND_NOW[0]}&to={end}&pageSize=1000{how}",
                           headers={"Authorization": "Bearer " + daemon.token()})
        reply = connection.getresponse()
        bodies.append(reply.read())
        assert reply.status == 200, bodies
        connection.close()
    return bodies


def known_until(daemon):
    """Up to where all is known: what is open goes on with the log, from one page to the next."""
    usage = daemon.get(f"/v1/usage?from={AROUND_NOW[0]}&to={AROUND_NOW[1]}&pageSize=1000")["usage"]
    return max(one["end"] for one in usage)


def told(daemon, vm, until):
    """The states of a VM by its timeline: [(state, start, end)], up to `until` if it goes on."""
    phases = []
    for event in daemon.get(f"/v1/events?resource={vm}&pageSize=1000")["events"]:
        at = micros_of(event["effectiveAt"])
        if at >= until:
            break
        if event["type"] == "vm.removed":
            until = at
        state = STATES.get(event["type"])
        if state and (not phases or phases[-1][0] != state):
            phases.append([state, at, None])
    for this, after in zip(phases, phases[1:] + [[None, until, None]]):
        this[2] = after[1]
    return [tuple(one) for one in phases if one[1] < one[2]]


def told_addresses(daemon, vm, until):
    """How many it had from when to when."""
    counts = []
    for event in daemon.get(f"/v1/events?resource={vm}&pageSize=1000")["events"]:
        more = {"vm.address_given": 1, "vm.addresses_added": 1, "vm.addresses_removed": -1}.get(
            event["type"], 0)
        if more:
            size = ipaddress.ip_network(event["detail"].split(" ")[0]).num_addresses
            counts.append([(counts[-1][0] if counts else 0) + more * size,
                           micros_of(event["effectiveAt"]), until])
    for this, after in zip(counts, counts[1:]):
        this[2] = after[1]
    return [tuple(one) for one in counts]


def check_against_timeline(daemon, vm, vcpus, memory):
    """Each meter of a VM has exactly the intervals that its timeline tells; what they end with."""
    found = {}
    for one in rows(daemon, AROUND_NOW[0], known_until(daemon), f"&resource={vm}"):
        assert one["resource"]["id"] == vm and one["cluster"]["name"] == "c1", one
        assert int(one["microseconds"]) == micros_of(one["end"]) - micros_of(one["start"]), one
        found.setdefault(one["meter"], []).append(one)
    end = micros_of(found["vm.state"][-1]["end"])
    wanted = told(daemon, vm, end)
    for meter, amount in (("vm.state", 1), ("vm.vcpu", vcpus), ("vm.memory", memory)):
        got = [(one["state"], micros_of(one["start"]), micros_of(one["end"]))
               for one in found[meter]]
        assert got == wanted, (meter, got, wanted)
        assert {int(one["amount"]) for one in found[meter]} == {amount}, found[meter]
    addresses = [(int(one["amount"]), micros_of(one["start"]), micros_of(one["end"]))
                 for one in found["nic.address"]]
    assert addresses == told_addresses(daemon, vm, end), addresses
    return wanted


def sums_of(intervals):
    made = {}
    for one in intervals:
        key = one["meter"], one["state"]
        made[key] = made.get(key, 0) + int(one["amount"]) * int(one["microseconds"])
    return made


def check_sums(daemon):
    """Sums are those of the intervals: of each VM, of all, and cut anywhere."""
    begin, end = AROUND_NOW[0], known_until(daemon)
    intervals = rows(daemon, begin, end)
    for vm in rows(daemon, begin, end, "&by=vm"):
        own = [one for one in intervals if one["resource"] == vm["resource"]]
        got = {(one["meter"], one["state"]): int(one["unitMicroseconds"]) for one in vm["sums"]}
        assert got == sums_of(own), vm

    def total(first, last):
        return {(one["meter"], one["state"]): int(one["unitMicroseconds"])
                for one in rows(daemon, first, last, "&by=total")}

    whole = total(begin, end)
    assert whole == sums_of(intervals), whole
    for one in intervals:
        cut = time_text((micros_of(one["start"]) + micros_of(one["end"])) // 2)
        parts = [total(begin, cut), total(cut, end)]
        added = {key: sum(part.get(key, 0) for part in parts) for key in whole}
        assert added == whole, (cut, added, whole)
    printed = daemon.orrery("usage", "list", "--from", begin, "--to", end, "--sum", "-o",
                            "csv").stdout
    read = {(one["meter"], one["state"] or "STATE_UNSPECIFIED"): int(one["unit_microseconds"])
            for one in csv.DictReader(io.StringIO(printed, newline=""))}
    assert read == whole, (read, whole)


def change(daemon, method, path, content=None):
    job = daemon.ended(daemon.change(method, path, content)["id"])
    assert job["state"] == "DONE", job


def usage_is_what_the_timeline_tells():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        change(daemon, "POST", "/v1/vms", vm_body("web-1", vcpus=2, memory=128))
        change(daemon, "POST", "/v1/vms", vm_body("db-1"))
        web, other = daemon.vm("web-1")["id"], daemon.vm("db-1")["id"]
        for verb, address in (("add", "10.99.0.20"), ("add", "10.99.0.64/28"),
                              ("remove", "10.99.0.64/28")):
            daemon.change("POST", f"/v1/vms/web-1:{verb}Address", {"address": address})
        wait_until("the network behind it is gone",
                   lambda: daemon.vm("web-1")["furtherAddresses"] == ["10.99.0.20"])
        change(daemon, "POST", "/v1/vms/web-1:stop")
        change(daemon, "POST", "/v1/vms/web-1:start")
        change(daemon, "DELETE", "/v1/vms/web-1")
        phases = check_against_timeline(daemon, web, 2, 128)
        states = [state for state, _, _ in phases]
        assert states[-3:] == ["RUNNING", "STOPPED", "RUNNING"], phases
        # A VM that is gone is named as it was.
        by_name = rows(daemon, *AROUND_NOW, "&resource=web-1&by=vm")
        assert by_name[0]["resource"] == {"id": web, "name": "web-1"} and not by_name[0]["open"]
        check_against_timeline(daemon, other, 1, 64)
        check_sums(daemon)
        past = time_text(check_against_timeline(daemon, web, 2, 128)[-1][2])
        before = body(daemon, past)
        assert b'"open": true' not in b"".join(before), "all of that time is known"

        daemon.kill()
        daemon.start()
        daemon.await_vm("db-1", "REACHABLE")
        change(daemon, "POST", "/v1/vms/db-1:stop")
        assert body(daemon, past) == before, "a killed process changed the past"
        check_against_timeline(daemon, other, 1, 64)
        check_sums(daemon)

        daemon.stop()
        shutil.rmtree(daemon.data / "projections")
        daemon.start()
        assert body(daemon, past) == before, "lost projections changed the past"
        check_against_timeline(daemon, web, 2, 128)
        check_against_timeline(daemon, other, 1, 64)
        daemon.finish()


def each_wrong_question_says_why():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        begin, end = AROUND_NOW
        for query, word in ((f"to={end}", "'from' is missing"),
                            (f"from={begin}", "'to' is missing"),
                            (f"from={end}&to={begin}", "is not before"),
                            (f"from={begin}&to={begin}", "is not before"),
                            (f"from=1971-01-01T00:00:00Z&to={end}", "3660 days"),
                            (f"from=yesterday&to={end}", "'from': 'yesterday' is not a time"),
                            (f"from={begin}&to={end}&meter=disk", "vm.vcpu"),
                            (f"from={begin}&to={end}&by=node", "vm or total"),
                            (f"from={begin}&to={end}&vm=web-1", "no parameter 'vm'"),
                            (f"from={begin}&to={end}&pageSize=0", "1 to 1000"),
                            (f"from={begin}&to={end}&pageToken=00", "page token")):
            problem = daemon.refused("GET", f"/v1/usage?{query}")
            assert problem["code"] == "invalid_argument" and word in problem["detail"], problem
        for query in ("resource=web-1", "cluster=c9"):
            problem = daemon.refused("GET", f"/v1/usage?from={begin}&to={end}&{query}")
            assert problem["code"] == "not_found", problem
        assert rows(daemon, begin, end) == []
        daemon.finish()


def main():
    return run_tests([usage_is_what_the_timeline_tells, each_wrong_question_says_why], workers=2)


if __name__ == "__main__":
    sys.exit(main())
