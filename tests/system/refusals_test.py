#!/usr/bin/env python3
"""What users, disks and clocks do wrong: a clear refusal each time, and nothing is left behind."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import threading

from clocks import moved_clock
from harness import (Daemon, Died, fresh_key, make_site, micros_of, partition_of, program,
                     run_tests, scratch, simulated_daemon, vm_body, wait_until)
from small_disk import SmallDisk


def site(folder, **options):
    daemon = simulated_daemon(folder, **options).start()
    make_site(daemon)
    return daemon


def nothing_left(daemon):
    assert daemon.get("/v1/vms")["vms"] == []
    cluster = daemon.get("/v1/clusters/c1")
    assert cluster["vcpusTaken"] == 0 and cluster["vms"] == 0, cluster
    assert daemon.get("/v1/networks/net1")["subnets"][0]["addressesTaken"] == 0


def refuses(daemon, code, word, method="POST", path="/v1/vms", body=None, raw=None):
    problem = daemon.refused(method, path, body, raw)
    assert problem["code"] == code, problem
    assert word in problem["detail"], problem
    return problem


def capacity_names_images_addresses():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon, prefix="10.99.0.0/29", node={"vcpus": 8, "memoryMib": 1024})
        refuses(daemon, "capacity_exhausted", "delete a VM", body=vm_body(vcpus=9))
        refuses(daemon, "capacity_exhausted", "1025 MiB", body=vm_body(memory=1025))
        refuses(daemon, "image_unknown", "there are: tiny", body=vm_body(image="nosuch"))
        refuses(daemon, "invalid_argument", "is not a name", body=vm_body(name="Web 1"))
        refuses(daemon, "not_found", "orrery network list", body=dict(vm_body(), network="no"))
        refuses(daemon, "not_found", "no", body=dict(vm_body(), cluster="no"))
        nothing_left(daemon)
        jobs = [daemon.change("POST", "/v1/vms", vm_body(name=f"vm-{i}")) for i in range(5)]
        for job in jobs:
            assert daemon.ended(job["id"])["state"] == "DONE"
        refuses(daemon, "addresses_exhausted", "net1", body=vm_body(name="one-more"))
        refuses(daemon, "already_exists", "choose another name", body=vm_body(name="vm-0"))
        assert daemon.get("/v1/clusters/c1")["vcpusTaken"] == 5, "a refused create took capacity"
        refuses(daemon, "already_exists", "c1", path="/v1/clusters",
                body={"name": "c1", "hypervisor": "simulated"})
        refuses(daemon, "already_exists", "n1", path="/v1/nodes",
                body={"name": "n1", "cluster": "c1"})
        refuses(daemon, "conflict", "overlaps", path="/v1/networks",
                body={"name": "net2", "cluster": "c1", "prefix": "10.99.0.4/30"})
        refuses(daemon, "conflict", "running already", path="/v1/vms/vm-0:start")
        refuses(daemon, "not_found", "vm-9", path="/v1/vms/vm-9:start")
        refuses(daemon, "invalid_argument", "reboot", path="/v1/vms/vm-0:reboot")
        daemon.finish()


def refusals_say_up_to_where_they_are_right():
    with scratch() as folder:
        daemon = site(folder)
        daemon.ended(daemon.change("POST", "/v1/vms", vm_body())["id"])
        where = partition_of(daemon.vm("web-1")["id"])

        def position(headers):
            places = dict(one.split("/") for one in headers["Orrery-Position"].split(","))
            return int(places[str(where)])

        _, headers, _ = daemon.request("GET", "/v1/vms")
        seen = position(headers)
        status, headers, _ = daemon.request("POST", "/v1/vms", vm_body())
        assert status == 409 and position(headers) == seen + 1, (status, headers)
        # The rows may be a moment behind what is in the log, unless somebody wants to see that.
        least = {"Orrery-Min-Position": headers["Orrery-Position"]}
        for method in ("GET", "DELETE"):
            status, headers, _ = daemon.request(method, "/v1/vms/no", headers=least)
            assert status == 404 and position(headers) == seen + 1, (status, headers)
        daemon.finish()


def capability_table_at_admission():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        refuses(daemon, "unsupported", "edition 'hosting'", path="/v1/clusters",
                body={"name": "v1", "hypervisor": "vmware"})
        daemon.finish()
    with scratch() as folder:
        daemon = simulated_daemon(folder, 'edition = "multi_cluster"\n').start()
        # What a kind with a driver lacks is refused further in: events_domain_test.
        for kind in ("vmware", "xen", "hyperv", "container"):
            refuses(daemon, "unsupported", "no driver", path="/v1/clusters",
                    body={"name": "v1", "hypervisor": kind})
        assert not daemon.get("/v1/clusters")["clusters"]
        table = {row["kind"]: row["capabilities"]
                 for row in daemon.get("/v1/hypervisors")["hypervisors"]}
        assert table["vmware"]["network_pvip"] == "no" and table["kvm"]["network_pvip"] == "yes"
        daemon.finish()


def bad_input_at_the_door():
    with scratch() as folder:
        daemon = site(folder)
        for raw, word in ((b"{", "not JSON"), (b"[]", "not a JSON object"), (b'"x"', "not a JSON"),
                          (b"", "not JSON"), (b'{"name":"a","name2":1}', "name"),
                          (b"[" * 5000, ""), (b'{"a":' * 5000, "")):
            assert daemon.refused("POST", "/v1/vms", raw=raw)["code"] == "invalid_argument", raw
        extra = dict(vm_body(), colour="red")
        refuses(daemon, "invalid_argument", "colour", body=extra)
        refuses(daemon, "invalid_argument", "vcpus", body=dict(vm_body(), vcpus=-1))
        refuses(daemon, "invalid_argument", "vcpus", body=dict(vm_body(), vcpus=1.5))
        refuses(daemon, "invalid_argument", "vcpus", body=dict(vm_body(), vcpus="many"))
        refuses(daemon, "invalid_argument", "name", body=dict(vm_body(), name="x" * 64))
        refuses(daemon, "invalid_argument", "name", body=dict(vm_body(), name=["x"]))
        status, _, _ = daemon.request("POST", "/v1/vms", raw=b'{"name":"\xff\xfe"}')
        assert status == 400
        status, _, _ = daemon.request("POST", "/v1/vms", raw=b" " * (1 << 20) + b"{}")
        assert status == 413, status
        status, _, _ = daemon.request("GET", "/v1/vms/" + "a" * 20000)
        assert status in (400, 404, 414, 431), status
        status, _, _ = daemon.request("GET", "/v1/vms/%ff")
        assert status == 400, status
        for path in ("/v1/vms?pageSize=0", "/v1/vms?pageSize=x", "/v1/vms?pageToken=zz",
                     "/v1/vms?colour=red", "/v1/vms?observed=BLUE", "/v1/jobs?state=X"):
            status, _, reply = daemon.request("GET", path)
            assert status == 400, (path, status, reply)
        status, _, _ = daemon.request("PATCH", "/v1/vms")
        assert status == 405, status
        status, _, reply = daemon.request("GET", "/v1/vms", headers={"Authorization": "Bearer x"})
        assert status == 401 and "token_file" in reply["detail"], (status, reply)
        for path in ("/v1/installation:trustClock", "/v1/projections/jobs:rebuild"):
            for raw in (b'{"force":true}', b'{"x":', b"[]"):
                said = daemon.refused("POST", path, raw=raw)
                assert said["code"] == "invalid_argument", (path, raw, said)
        for name in ("libvirtSocket", "networkNamespace"):
            refuses(daemon, "invalid_argument", name, path="/v1/nodes",
                    body={"name": "n2", "cluster": "c1", name: "/x"})
        nothing_left(daemon)
        daemon.finish()


def wishes_of_routers_that_cannot_be():
    path = "/v1/clusters/c1:setUpstream"
    router = {"address": "2001:db8:f::1", "as": 64512}

    def bgp(**more):
        return {"uplink": "eth1", "bgp": {"as": 64601, "routers": [router], **more}}

    with scratch() as folder:
        daemon = site(folder)
        for wish, words in (
                ({"uplink": "eth1", "rip": {}}, "there is no field 'rip' here"),
                (bgp(colour="red"), "there is no field 'bgp.colour' here"),
                (bgp(routers=[router, {"as": 1}]), "'bgp.routers[1].address' is missing"),
                (bgp(routers=[{**router, "as": "x"}]), "'bgp.routers[0].as' is not a whole number"),
                (bgp(routers=[router] * 17), "'bgp.routers' has more than 16 members"),
                (bgp(routers=[{**router, "address": "fe80::1"}]), "fe80::1 cannot be a host's"),
                (bgp(routers=[{**router, "address": "2001:db8:::1"}]), "is not an IPv6 address"),
                (bgp(routers=[{**router, "address": "192.0.2"}]), "is not an IPv4 address"),
                (bgp(routers=[router, router]), "2001:db8:f::1 is given twice"),
                (dict(bgp(), arp={}), "give one of 'arp', 'bgp' and 'ospf'"),
                (dict(bgp(), learnDefault="true"), "'learnDefault' is neither true nor false"),
                ({"uplink": "eth1", "ospf": {"ipv6": 1}}, "'ospf.ipv6' is neither true nor false"),
                ({"uplink": "eth1"}, "none of arp, bgp and ospf"),
                ({"uplink": "eth1", "arp": {}, "learnGuests": True}, "BGP and OSPF only")):
            refuses(daemon, "invalid_argument", words, path=path, body=wish)
        refuses(daemon, "invalid_argument", "'arp' is given twice", path=path,
                raw=b'{"uplink":"eth1","arp":{},"arp":{}}')
        assert "upstream" not in daemon.get("/v1/clusters/c1")
        daemon.change("POST", path, bgp())
        said = daemon.get("/v1/clusters/c1")["upstream"]
        assert said["bgp"]["routers"][0]["address"] == "2001:db8:f::1", said
        assert said["bgp"]["holdSeconds"] == 9, said
        wait_until("the simulated node speaks with it", lambda: [
            one["router"] for one in daemon.get("/v1/nodes/n1").get("upstream", [])
            if one["established"]] == ["2001:db8:f::1"])
        daemon.finish()


def same_key_other_body():
    with scratch() as folder:
        daemon = site(folder)
        key = fresh_key()
        first = daemon.change("POST", "/v1/vms", vm_body(), key)
        again = daemon.change("POST", "/v1/vms", vm_body(), key)
        assert first["id"] == again["id"] and first["resource"] == again["resource"]
        status, _, reply = daemon.request("POST", "/v1/vms", vm_body(name="web-2"),
                                          {"Idempotency-Key": key})
        assert status == 422 and reply["code"] == "key_reused", (status, reply)
        daemon.ended(first["id"])
        daemon.kill()
        daemon.start()
        assert daemon.change("POST", "/v1/vms", vm_body(), key)["id"] == first["id"]
        daemon.finish()


def a_change_repeated_when_its_vm_is_gone_gets_its_first_answer():
    with scratch() as folder:
        daemon = site(folder)
        daemon.ended(daemon.change("POST", "/v1/vms", vm_body())["id"])
        stop = daemon.change("POST", "/v1/vms/web-1:stop", key="stop")
        daemon.ended(stop["id"])
        gone = daemon.change("DELETE", "/v1/vms/web-1", key="gone")
        daemon.ended(gone["id"])
        for _ in range(2):
            assert daemon.change("DELETE", "/v1/vms/web-1", key="gone")["id"] == gone["id"]
            assert daemon.change("POST", "/v1/vms/web-1:stop", key="stop")["id"] == stop["id"]
            refuses(daemon, "not_found", "web-1", "DELETE", "/v1/vms/web-1")
            status, _, reply = daemon.request("DELETE", "/v1/vms/web-1", None,
                                              {"Idempotency-Key": "another"})
            assert status == 404 and "web-1" in reply["detail"], (status, reply)
            status, _, reply = daemon.request("POST", "/v1/vms/web-1:start", None,
                                              {"Idempotency-Key": "gone"})
            assert status == 422 and reply["code"] == "key_reused", (status, reply)
            daemon.kill()
            daemon.start()
        daemon.finish()


def second_daemon_on_the_directory():
    with scratch() as folder:
        daemon = site(folder)
        for extra in ((), ("--read-only",)):
            second = subprocess.run([program("orreryd"), "--config", str(daemon.config), *extra],
                                    capture_output=True, text=True, timeout=60, check=False)
            assert second.returncode == 1 and "locked" in second.stderr, second
        daemon.finish()


def a_port_that_another_has_before_anything_is_claimed():
    with scratch() as folder:
        first = simulated_daemon(f"{folder}/first").start()
        second = simulated_daemon(f"{folder}/second").start()
        second.stop()
        files = sorted(second.data.glob("log/*.seg"))
        before = [file.read_bytes() for file in files]
        second.config.write_text(second.config.read_text().replace(
            "127.0.0.1:0", f"127.0.0.1:{first.port}"))
        done = subprocess.run([program("orreryd"), "--config", str(second.config)],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and "another process has the port" in done.stderr, done
        assert files and before == [file.read_bytes() for file in files]
        rows = second.data / "projections"
        assert rows.stat().st_mode & 0o77 == 0, oct(rows.stat().st_mode)
        first.finish()


def config_with_a_typo():
    with scratch() as folder:
        daemon = simulated_daemon(folder)
        good = daemon.config.read_text()
        for change, word in ((lambda t: t.replace("listen", "lissen"), "lissen"),
                             (lambda t: t + "\nverb_seconds = 1\n", "verb_seconds"),
                             (lambda t: t.replace('"127.0.0.1:0"', "5"), "listen"),
                             (lambda t: t.replace('"127.0.0.1:0"', '"0.0.0.0:0"'), "loopback"),
                             (lambda t: t + "= =", "line"),
                             (lambda t: 'edition = "gold"\n' + t, "gold"),
                             (lambda t: t.replace("/data", "/data/no/such"), "data"),
                             (lambda t: "\x00\xff" + t, "line")):
            daemon.config.write_text(change(good), encoding="latin-1")
            done = subprocess.run([program("orreryd"), "--config", str(daemon.config)],
                                  capture_output=True, text=True, timeout=60, check=False,
                                  errors="replace")
            assert done.returncode == 1 and word in done.stderr, (word, done)
        daemon.config.write_text(good)
        os.chmod(folder, 0o755)
        daemon.start()
        daemon.stop()
        os.chmod(daemon.token_file, 0o644)
        done = subprocess.run([program("orreryd"), "--config", str(daemon.config)],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and "chmod 600" in done.stderr, done


def full_disk_while_committing():
    with scratch() as folder:
        with SmallDisk(f"{folder}/disk", "40m") as disk:
            daemon = Daemon(f"{folder}/disk/o", "log_segment_mib = 1\n"
                            f'[simulated]\ndirectory = "{folder}/simulated"\n')
            daemon.directory = pathlib.Path(folder)  # the worlds are not on the small disk
            daemon.errors = pathlib.Path(folder) / "orreryd.log"
            daemon.start()
            make_site(daemon)
            filler = disk.folder / "filler"
            with open(filler, "wb") as file:
                try:
                    while True:
                        file.write(b"x" * 65536)
                        file.flush()
                except OSError:
                    pass
            seen = None
            for i in range(20000):
                status, _, reply = daemon.request("POST", "/v1/networks", {
                    "name": f"w{i}", "cluster": "c1", "prefix": f"10.{i // 200}.{i % 200}.0/30",
                    "gateway": f"10.{i // 200}.{i % 200}.1"})
                if status not in (202, 409):
                    seen = reply
                    break
            assert seen and seen["code"] in ("storage_full", "unavailable"), seen
            assert daemon.get("/v1/networks?pageSize=1000")["networks"], "it can be read"
            filler.unlink()
            wait_until("a change is taken again", lambda: daemon.request(
                "POST", "/v1/networks", {"name": "after", "cluster": "c1",
                                         "prefix": "10.250.0.0/30"})[0] in (202, 409))
            daemon.finish()
            return seen["code"]


def clock_jumps_a_year_ahead_and_back():
    with scratch() as folder:
        moved = pathlib.Path(folder) / "clock"
        moved.write_text("+0\n")
        daemon = simulated_daemon(folder)
        daemon.start(environment=moved_clock(moved))
        make_site(daemon)
        job = daemon.change("POST", "/v1/vms", vm_body())
        daemon.ended(job["id"])
        before = daemon.get("/v1/status")["position"]
        moved.write_text("+365d\n")
        problem = refuses(daemon, "clock_untrusted", "trust-clock", path="/v1/vms/web-1:stop")
        moved.write_text("+0\n")
        refuses(daemon, "clock_untrusted", "trust-clock", path="/v1/vms/web-1:stop")
        assert daemon.vm("web-1")["observed"]["state"] == "REACHABLE"
        assert problem["retryable"]
        # Back in time, on a daemon that starts with a clock behind the log.
        daemon.change("POST", "/v1/installation:trustClock")
        job = daemon.change("POST", "/v1/vms/web-1:stop")
        assert daemon.ended(job["id"])["state"] == "DONE"
        events = daemon.get("/v1/events?pageSize=1000")["events"]
        times = [micros_of(event["time"]) for event in events]
        assert times == sorted(times) and events[-1]["time"] < "2100", events[-1]
        assert before != daemon.get("/v1/status")["position"]
        daemon.kill()
        moved.write_text("-365d\n")
        daemon.start(environment=moved_clock(moved))
        refuses(daemon, "clock_untrusted", "log's last record", path="/v1/vms/web-1:start")
        daemon.kill()
        moved.write_text("+0\n")
        daemon.start()
        job = daemon.change("POST", "/v1/vms/web-1:start")
        assert daemon.ended(job["id"])["state"] == "DONE"
        daemon.finish()


def a_projection_ahead_of_the_log_refuses_to_start():
    with scratch() as folder:
        daemon = site(folder)
        daemon.stop()
        shutil.copytree(daemon.data / "log", f"{folder}/old-log")
        daemon.start()
        daemon.ended(daemon.change("POST", "/v1/vms", vm_body())["id"])
        daemon.stop()
        shutil.rmtree(daemon.data / "log")
        shutil.copytree(f"{folder}/old-log", daemon.data / "log")
        done = subprocess.run([program("orreryd"), "--config", str(daemon.config)],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and "log_cut" in done.stderr, done


def a_log_longer_than_one_read_starts_again():
    """A start reads the log in pieces of 4 MiB: all of them before anything is judged."""
    with scratch() as folder:
        daemon = site(folder)
        def size():  # of the records; what is zero behind them is room
            return sum(len(one.read_bytes().rstrip(b"\0"))
                       for one in (daemon.data / "log").glob("*.seg"))

        with concurrent.futures.ThreadPoolExecutor(16) as pool:  # a refusal takes 400 bytes
            while size() < 5 * 1024 * 1024:
                list(pool.map(lambda number: daemon.refused(
                    "POST", "/v1/vms", vm_body(f"vm-{number}", image="x" * 60)), range(2_000)))
        daemon.stop()
        daemon.start()
        daemon.ended(daemon.change("POST", "/v1/vms", vm_body())["id"])
        daemon.finish()


def a_flipped_byte_refuses_to_start():
    with scratch() as folder:
        daemon = site(folder)
        daemon.stop()
        segment = sorted((daemon.data / "log").glob("*.seg"))[0]
        content = bytearray(segment.read_bytes())
        content[300] ^= 0xff
        segment.write_bytes(content)
        done = subprocess.run([program("orreryd"), "--config", str(daemon.config)],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and "damaged" in done.stderr, done
        assert segment.name in done.stderr, done
        checked = subprocess.run([program("orrery"), "log", "verify", str(daemon.data / "log")],
                                 capture_output=True, text=True, timeout=60, check=False)
        assert checked.returncode == 3 and segment.name in checked.stdout, checked


def deadline_passes_and_the_address_stays():
    with scratch() as folder:
        daemon = simulated_daemon(folder).start()
        make_site(daemon, prefix="10.99.0.0/30")
        job = daemon.change("POST", "/v1/vms", vm_body(image="tiny-silent"))
        ended = daemon.ended(job["id"])
        assert ended["state"] == "FAILED" and ended["error"]["code"] == "timed_out", ended
        assert "step 'started'" in ended["error"]["text"], ended
        assert "console" in ended["error"]["text"], ended
        refuses(daemon, "addresses_exhausted", "net1", body=vm_body(name="web-2"))
        daemon.ended(daemon.change("DELETE", "/v1/vms/web-1")["id"])
        job = daemon.change("POST", "/v1/vms", vm_body(name="web-2"))
        assert daemon.ended(job["id"])["state"] == "DONE"
        daemon.finish()


def a_guest_that_crashes_while_it_starts():
    with scratch() as folder:
        daemon = site(folder)
        job = daemon.change("POST", "/v1/vms", vm_body(image="tiny-crash"))
        ended = daemon.ended(job["id"])
        vm = daemon.vm("web-1")
        assert ended["state"] in ("FAILED", "DONE"), ended
        daemon.await_vm("web-1", "STOPPED")
        vm = daemon.vm("web-1")
        assert vm["observed"]["cause"] == "CRASHED" and vm["desired"] == "RUNNING", vm
        daemon.ended(daemon.change("DELETE", "/v1/vms/web-1")["id"])
        daemon.finish()
        return ended["state"]


def greetings(daemon):
    """How often the node came into sight."""
    return sum(one["type"] == "node.connected"
               for one in daemon.get("/v1/events?resource=n1&pageSize=1000")["events"])


def what_ends_orreryd_is_refused_the_fourth_time():
    with scratch() as folder:
        daemon = site(folder)
        daemon.settle()
        daemon.stop()
        for life in range(3):
            daemon.start("--crash-on-signal", "partition.decide.before:1")
            # Then nothing else is decided but what a client asks for.
            wait_until("the node is greeted", lambda seen=life + 2: greetings(daemon) == seen)
            daemon.settle()
            daemon.arm()
            try:
                daemon.request("POST", "/v1/vms", vm_body(name=f"web-{life}"))
            except Died:
                daemon.process.wait(timeout=60)
            assert daemon.is_dead(), life
        daemon.start()
        problem = refuses(daemon, "internal", "cluster.place_vm", body=vm_body())
        assert "journal" in problem["detail"], problem
        daemon.change("POST", "/v1/clusters", {"name": "c2", "hypervisor": "simulated"})
        wait_until("the cluster is made",
                   lambda: len(daemon.get("/v1/clusters")["clusters"]) == 2)
        nothing_left(daemon)
        daemon.finish()


def metrics_are_clean():
    with scratch() as folder:
        daemon = site(folder)
        daemon.ended(daemon.change("POST", "/v1/vms", vm_body())["id"])
        # What the partition holds is shown about once a second.
        text = wait_until("the state's metrics", lambda: (
            lambda shown: shown if "orrery_vms" in shown else None)(
                daemon.request("GET", "/metrics")[2]))
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
        assert len(names) >= 12, names
        daemon.finish()
        return f"{len(names)} metrics"


def many_clients_at_once():
    with scratch() as folder:
        daemon = site(folder)
        jobs = []
        guard = threading.Lock()

        def client(number):
            for i in range(10):
                job = daemon.change("POST", "/v1/vms", vm_body(name=f"c{number}-{i}"))
                with guard:
                    jobs.append(job)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(jobs) == 80, len(jobs)
        daemon.settle()
        vms = daemon.get("/v1/vms?pageSize=1000")["vms"]
        assert len({vm["address"] for vm in vms}) == 80
        assert {vm["observed"]["state"] for vm in vms} == {"REACHABLE"}
        daemon.kill()
        daemon.start()
        daemon.settle()
        daemon.finish()


TESTS = [capacity_names_images_addresses, refusals_say_up_to_where_they_are_right,
         capability_table_at_admission, bad_input_at_the_door, wishes_of_routers_that_cannot_be,
         same_key_other_body, a_change_repeated_when_its_vm_is_gone_gets_its_first_answer,
         second_daemon_on_the_directory, a_port_that_another_has_before_anything_is_claimed,
         config_with_a_typo,
         full_disk_while_committing, clock_jumps_a_year_ahead_and_back,
         a_projection_ahead_of_the_log_refuses_to_start, a_flipped_byte_refuses_to_start,
         a_log_longer_than_one_read_starts_again,
         deadline_passes_and_the_address_stays, a_guest_that_crashes_while_it_starts,
         what_ends_orreryd_is_refused_the_fourth_time, metrics_are_clean, many_clients_at_once]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS, workers=2))
