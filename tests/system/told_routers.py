"""A story of first_boot_test.py: the nodes of a cluster tell a router of guests that run."""

import os
import signal

from customer_router import NODES_AS, ROUTER, ROUTERS_AS, UPLINK, CustomerRouter, lost
from harness import IS_ON_KAFKA, wait_until
from virtual_node import PREFIX, is_alive


def write_secret(site, name, text, mode=0o600):
    file = site.secrets / name
    file.touch(mode=mode)
    file.chmod(mode)
    file.write_text(text + "\n")


def node_of(site):
    return site.daemon.get("/v1/nodes/n1")


def await_session(site, established=True):
    def stands():
        return [one["established"] for one in node_of(site).get("upstream", [])]
    wait_until(f"the router's session is {'' if established else 'not '}established",
               lambda: stands() == [established])


def bird_of(site):
    """Its process, or nothing."""
    for file in site.routing.glob("*/bird.pid"):
        pid = file.read_text().strip()  # empty for a moment
        return int(pid) if pid and is_alive(pid) else None
    return None


def routers_are_told_of_guests_that_run(site):
    """The cluster's upstream by the command line: BGP with a password, then OSPF, then ARP."""
    daemon, node = site.daemon, site.node
    secret = "a#b;{c}'d\\e"
    router_says = f"{ROUTER},as={ROUTERS_AS}"
    with CustomerRouter(site.folder, node.namespace, PREFIX, secret) as router:
        def upstream(*words, wanted=0):
            return daemon.orrery("cluster", "upstream", "c1", *words, wanted=wanted)

        def bgp(name):
            upstream("bgp", "--uplink", UPLINK, "--as", str(NODES_AS), "--router",
                     f"{router_says},secret={name}", "--learn-default", "--learn-guests")

        bgp("rack-7")
        wait_until("the missing password is told",
                   lambda: "there is no file" in node_of(site)["upstreamProblem"])
        write_secret(site, "rack-7", "")
        wait_until("an empty file is no password",
                   lambda: "is empty" in node_of(site)["upstreamProblem"])
        write_secret(site, "rack-7", secret, mode=0o644)
        wait_until("a password for all to read is none",
                   lambda: "chmod 600" in node_of(site)["upstreamProblem"])
        write_secret(site, "rack-7", secret)
        await_session(site)
        assert not node_of(site)["upstreamProblem"]
        vm = site.create()
        router.await_route(vm["address"])
        assert router.answers(vm["address"])

        # Nobody but us dies: the routers hear nothing of it.
        bird, pings = bird_of(site), router.begin_pings(vm["address"], 250)
        site.restart()
        assert lost(pings) == 0 and bird_of(site) == bird
        pings = router.begin_pings(vm["address"], 500)
        os.kill(bird, signal.SIGKILL)
        wait_until("BIRD was started again", lambda: bird_of(site) not in (None, bird))
        await_session(site)
        missed = lost(pings)
        assert missed == 0, missed

        # A guest that ended is unreachable at once, and for all.
        site.act("stop")
        router.await_route(vm["address"], is_there=False)
        # Within the aggregate, which is unreachable: told at once, and never sent on.
        said = router.ping(vm["address"], "-c", "1", "-W", "60")
        assert "No route to host" in said, said
        site.done(site.begin("start"), "reachable")
        router.await_route(vm["address"])
        os.kill(node.guest_pid(vm), signal.SIGKILL)
        router.await_route(vm["address"], is_there=False)
        site.await_observed("STOPPED")
        site.done(site.begin("start"), "reachable")
        router.await_route(vm["address"])

        write_secret(site, "wrong", "another")
        bgp("wrong")
        await_session(site, established=False)
        router.await_route(vm["address"], is_there=False)
        upstream("ospf", "--uplink", UPLINK, "--secret", "rack-7", "--learn-default")
        router.await_route(vm["address"])
        await_session(site)
        assert router.answers(vm["address"])

        router.has_static_route()
        upstream("arp", "--uplink", UPLINK)
        wait_until("the guest answers by ARP", lambda: router.answers(vm["address"]))
        assert bird_of(site) is None
        assert node_of(site).get("upstream", []) == []
        shown = daemon.orrery("cluster", "get", "c1", "-o", "yaml").stdout
        assert "arp: {}" in shown and "uplink: up0" in shown, shown
        upstream("none")
        wait_until("nothing is answered for", lambda: not node.ip("neigh", "show", "proxy"))
        assert "upstream" not in daemon.get("/v1/clusters/c1")
        refused = upstream("arp", "--uplink", "no/link", wanted=1).stderr
        assert "cannot be an uplink" in refused, refused
        daemon.stop()  # what it keeps is as it stays
        kept = [file for file in (site.folder / "data").rglob("*") if file.is_file()]
        # Of a log on Kafka only what was folded from it is here.
        assert any(file.suffix == (".sst" if IS_ON_KAFKA else ".seg") for file in kept), kept
        for file in kept:
            assert secret.encode() not in file.read_bytes(), file
        daemon.start()
        site.await_serving()
        site.clear()
        return f"{missed} of 500 pings lost when BIRD was killed"
