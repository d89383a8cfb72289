"""A real Prometheus over orreryd, with the product's own rules, and the dashboard's own queries.

Standard library only.
"""

import json
import math
import re
import subprocess
import sys
import urllib.parse
import urllib.request

from cluster import free_ports
from harness import ROOT, wait_until

RULES = ROOT / "deploy" / "prometheus" / "rules" / "orrery.yml"
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "orrery.json"
SHORTER = 20  # times: what takes minutes takes seconds
UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000}

sys.path.insert(0, str(ROOT / "tools" / "dev"))
import draw_dashboard  # noqa: E402 (the path comes first)


def shortened(text):
    """Rules or a configuration with all their waits, windows and intervals divided by SHORTER;
    nothing else is touched."""
    def shorter(match):
        return f"{match[1]}{int(match[2]) * UNITS[match[3]] // SHORTER}ms{match[4]}"
    return re.sub(r"(\bfor: |_interval: |\[)(\d+)([smh])(\]|$)", shorter, text, flags=re.M)


class Prometheus:
    """`targets`: {installation: port of its orreryd}."""

    def __init__(self, folder, targets):
        self.folder = folder
        (folder / "rules").mkdir(parents=True)
        (folder / "rules" / RULES.name).write_text(shortened(RULES.read_text()))
        head, found, _ = shortened(CONFIG.read_text()).partition("    static_configs:\n")
        assert found, CONFIG
        (folder / CONFIG.name).write_text(head + found + "".join(
            f'      - targets: ["127.0.0.1:{port}"]\n        labels: {{installation: {name}}}\n'
            for name, port in targets.items()))
        self.port = free_ports(1)[0]
        with open(folder / "prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={folder / CONFIG.name}",
                 f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        def all_seen():
            assert self.process.poll() is None, (self.folder / "prometheus.log").read_text()
            return self.ask("up == 1") if self.answers() else None
        wait_until("Prometheus scrapes", all_seen)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)

    def answers(self):
        try:
            return self.call("status/buildinfo") is not None
        except OSError:
            return False

    def call(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=60) as reply:
            body = json.load(reply)
        assert body["status"] == "success", (url, body)
        return body["data"]

    def ask(self, query):
        """[(labels, value)] now."""
        return [(one["metric"], float(one["value"][1]))
                for one in self.call("query", query=query)["result"]]

    def ask_range(self, query, begin, end, step):
        """[(labels, [(time, value)])] without what is not a number."""
        found = []
        for one in self.call("query_range", query=query, start=begin, end=end, step=step)["result"]:
            points = [(at, float(value)) for at, value in one["values"]]
            points = [point for point in points if math.isfinite(point[1])]
            if points:
                found.append((one["metric"], points))
        return found

    def firing(self):
        """{installation: the names of its alerts that fire}."""
        found = {}
        for one in self.call("alerts")["alerts"]:
            if one["state"] == "firing":
                labels = one["labels"]
                found.setdefault(labels["installation"], set()).add(labels["alertname"])
        return found


def panels():
    """[(title, [its queries])] of the dashboard, as Grafana would send them for everything."""
    board = json.loads(DASHBOARD.read_text())
    return [(one["title"], [query for query, _ in draw_dashboard.queries(one, SHORTER)])
            for one in draw_dashboard.panels(board)]
