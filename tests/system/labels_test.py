#!/usr/bin/env python3
"""Labels on the real programs: hung on every noun, found by, remembered, refused.

Usage: labels_test.py [PART OF A TEST'S NAME …]
"""

import json
import sys

from harness import make_site, run_tests, scratch, simulated_daemon, vm_body


def label(daemon, path, put=None, remove=None):
    return daemon.change("POST", f"/v1/{path}:setLabels",
                         {"set": put or {}, "remove": remove or []})


def names(daemon, kind, label_filter):
    """The names of what a filter finds, page by page of two."""
    found, token = [], ""
    while True:
        page = daemon.get(f"/v1/{kind}?label={label_filter}&pageSize=2{token}")
        found += [one["name"] for one in page[kind]]
        if "nextPageToken" not in page:
            return found
        token = f"&pageToken={page['nextPageToken']}"


def changes(daemon, vm):
    """What the timeline tells of a VM's labels."""
    return [one for one in daemon.get(f"/v1/events?resource={vm}&pageSize=1000")["events"]
            if one["type"] == "vm.labels_changed"]


def labels_find_what_they_hang_on():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        for number in range(5):
            job = daemon.change("POST", "/v1/vms",
                                {**vm_body(f"vm-{number}"),
                                 "labels": {"env": "prod" if number < 3 else "test"}})
            daemon.ended(job["id"])
        assert names(daemon, "vms", "env=prod") == ["vm-0", "vm-1", "vm-2"]
        assert names(daemon, "vms", "env") == [f"vm-{number}" for number in range(5)]
        job = label(daemon, "vms/vm-1", {"env": "test", "acme/owner": "ops@acme:8080"})
        assert job["state"] == "DONE" and job["kind"] == "vm.set_labels", job
        label(daemon, "vms/vm-2", remove=["env", "never-there"])
        assert names(daemon, "vms", "env=prod") == ["vm-0"]
        assert names(daemon, "vms", "env=test") == ["vm-1", "vm-3", "vm-4"]
        assert names(daemon, "vms", "env=test,acme/owner") == ["vm-1"]
        assert daemon.vm("vm-1")["labels"] == {"acme/owner": "ops@acme:8080", "env": "test"}
        assert daemon.vm("vm-2")["labels"] == {}
        for path, kind in (("clusters/c1", "clusters"), ("nodes/n1", "nodes"),
                           ("networks/net1", "networks")):
            label(daemon, path, {"site": "fra"})
            assert names(daemon, kind, "site=fra") == [path.split("/")[1]]
            assert names(daemon, kind, "site=ham") == []
        daemon.ended(daemon.change("DELETE", "/v1/vms/vm-4")["id"])
        assert names(daemon, "vms", "env=test") == ["vm-1", "vm-3"]
        daemon.finish()


def labels_of_the_past_are_remembered():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        daemon.ended(daemon.change("POST", "/v1/vms", vm_body())["id"])
        places = []
        for value in ("1", "2", "3"):
            label(daemon, "vms/web-1", {"turn": value})
            _, headers, _ = daemon.request("GET", "/v1/vms/web-1")
            places.append((headers["Orrery-Position"], {"turn": value}))
        label(daemon, "vms/web-1", remove=["turn"])
        for place, wanted in places:
            assert daemon.get(f"/v1/vms/web-1?asOf={place}")["labels"] == wanted, place
        changed = changes(daemon, "web-1")
        assert [one["detail"] for one in changed] == ["turn=1", "turn=2", "turn=3",
                                                      "without turn"], changed
        assert {one["who"] for one in changed} == {"operator"}, changed
        # What is so already is no news, and a repetition does nothing twice.
        label(daemon, "vms/web-1", remove=["turn"])
        body = {"set": {"turn": "4"}}
        first = daemon.change("POST", "/v1/vms/web-1:setLabels", body, key="k1")
        label(daemon, "vms/web-1", {"turn": "5"})
        again = daemon.change("POST", "/v1/vms/web-1:setLabels", body, key="k1")
        assert first["id"] == again["id"], (first, again)
        assert daemon.vm("web-1")["labels"] == {"turn": "5"}
        changed = changes(daemon, "web-1")
        assert len(changed) == 6, changed
        daemon.finish()


def labels_that_cannot_be_are_refused():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        daemon.ended(daemon.change("POST", "/v1/vms", vm_body())["id"])
        before = daemon.get("/v1/status")["position"]
        many = {f"k{number}": "" for number in range(33)}
        for body, word in (({}, "nothing is asked for"),
                           ({"set": {}}, "nothing is asked for"),
                           ({"set": []}, "'set' is not an object"),
                           ({"set": {"a": 1}}, "'set.a' is not a text"),
                           ({"set": {"a": {"b": "c"}}}, "'set.a' is not a text"),
                           ({"remove": "a"}, "'remove' is not a list"),
                           ({"remove": [1]}, "a member of 'remove' is not a text"),
                           ({"set": many}, "more than 32 members"),
                           ({"set": {"a" * 64: ""}}, "longer than 63 bytes"),
                           ({"set": {"a": "b" * 64}}, "longer than 63 bytes"),
                           ({"labels": {"a": "b"}}, "no field 'labels'"),
                           ({"set": {"a": "1"}, "remove": ["a"]}, "said twice"),
                           ({"set": {"Env": "1"}}, "no key of a label"),
                           ({"set": {"env": "a b"}}, "no value of a label")):
            problem = daemon.refused("POST", "/v1/vms/web-1:setLabels", body)
            assert problem["code"] == "invalid_argument" and word in problem["detail"], problem
        for query in (",", "Env", "env=a%20b", "env==", ",".join(["a"] * 33)):
            problem = daemon.refused("GET", f"/v1/vms?label={query}")
            assert problem["code"] == "invalid_argument", problem
        for path, code in (("vms/db", "not_found"), ("nodes/n9", "not_found")):
            assert daemon.refused("POST", f"/v1/{path}:setLabels",
                                  {"set": {"a": ""}})["code"] == code
        assert "want setLabels" in daemon.refused("POST", "/v1/nodes/n1:start", {})["detail"]
        problem = daemon.refused("POST", "/v1/vms", {**vm_body("web-2"), "labels": {"E": ""}})
        assert problem["code"] == "invalid_argument", problem
        assert daemon.vm("web-1")["labels"] == {} and daemon.vm("web-2") is None
        label(daemon, "vms/web-1", {f"k{number}": "" for number in range(32)})
        problem = daemon.refused("POST", "/v1/vms/web-1:setLabels", {"set": {"more": ""}})
        assert problem["code"] == "limit_reached", problem
        assert before != daemon.get("/v1/status")["position"]
        daemon.finish()


def labels_by_the_command_line():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon)
        daemon.orrery("vm", "create", "web-1", "--image", "tiny", "--memory", "64MiB", "--label",
                      "env=prod,team=web", "--label", "tier=1")
        daemon.orrery("vm", "label", "web-1", "env=test", "tier-")
        shown = json.loads(daemon.orrery("vm", "get", "web-1", "-o", "json").stdout)
        assert shown["labels"] == {"env": "test", "team": "web"}, shown
        assert "env=test,team=web" in daemon.orrery("vm", "list", "-o", "wide").stdout
        assert daemon.orrery("vm", "list", "--label", "env=test", "-o", "name").stdout == "web-1\n"
        assert daemon.orrery("vm", "list", "--label", "tier", "-o", "name").stdout == ""
        for noun, name in (("cluster", "c1"), ("node", "n1"), ("network", "net1")):
            daemon.orrery(noun, "label", name, "site=fra")
            found = daemon.orrery(noun, "list", "--label", "site", "-o", "name")
            assert found.stdout == name + "\n", found
        assert "KEY=VALUE" in daemon.orrery("vm", "label", "web-1", "nonsense", wanted=64).stderr
        daemon.finish()


def main():
    return run_tests([labels_find_what_they_hang_on, labels_of_the_past_are_remembered,
                      labels_that_cannot_be_are_refused, labels_by_the_command_line], workers=2)


if __name__ == "__main__":
    sys.exit(main())
