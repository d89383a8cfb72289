"""The alerts, their tests, their runbook and the dashboard belong together, and promtool agrees.

ORRERY_BUILD names the build with the programs.
"""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tools" / "dev"), str(ROOT / "tests" / "system")]
import draw_dashboard  # noqa: E402 (the paths come first)
from harness import program  # noqa: E402

RULES = ROOT / "deploy" / "prometheus" / "rules" / "orrery.yml"
TESTS = RULES.with_name("orrery_test.yml")
RUNBOOK = ROOT / "docs" / "runbook.md"
METRICS = ROOT / "docs" / "metrics.md"
METRIC = re.compile(r"\b(?:orrery|process)_[a-z_]+\b")


def alerts():
    """{name: its text} of the rules."""
    parts = re.split(r"^      - alert: (\w+)$", RULES.read_text(encoding="utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def sections():
    """{heading: text} of the runbook."""
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text(encoding="utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def promtool(*words):
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True,
                          timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def known_metrics():
    """As docs/metrics.md lists them; alerts_test.py compares that list with orreryd."""
    found = set()
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", METRICS.read_text(encoding="utf-8"),
                                 re.M):
        found |= {name + end for end in ("_bucket", "_sum", "_count")} if kind == "histogram" \
            else {name}
    return found


class monitoring_test(unittest.TestCase):
    def test_there_are_at_least_ten_alerts_and_each_says_what_it_must(self):
        self.assertGreaterEqual(len(alerts()), 10)
        for name, text in alerts().items():
            for part in ("severity: ", "summary: ", "description: "):
                self.assertIn(part, text, name)
            self.assertIn(f"runbook_url: docs/runbook.md#{name.lower()}\n", text)
            self.assertRegex(text, r"description: >-\n(.*\n)*?.*\$labels\.installation", name)

    def test_promtool_accepts_rules_configuration_and_their_tests(self):
        for words in (("check", "rules", RULES),
                      ("check", "config", RULES.parents[1] / "prometheus.yml"),
                      ("test", "rules", TESTS)):
            status, said = promtool(*words)
            self.assertEqual(status, 0, said)

    def test_each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not(self):
        named = re.findall(r"^  - name: (\w+) (fires|stays silent)$",
                           TESTS.read_text(encoding="utf-8"), re.M)
        self.assertEqual(sorted(named), sorted((name, what) for name in alerts()
                                               for what in ("fires", "stays silent")))

    def test_a_rule_that_is_changed_fails_its_tests(self):
        for old, new in (('up{job="orrery"} == 0', 'up{job="orrery"} == 2'),
                         ("for: 2m", "for: 1m"), ("< 0.1", "< 0.01"),
                         ('offered"}) > 0)', 'offered"}) >= 0)'),
                         ("[10m])) > 0", "[10m])) > 9")):
            with tempfile.TemporaryDirectory() as folder:
                text = RULES.read_text(encoding="utf-8")
                self.assertIn(old, text)
                Path(folder, RULES.name).write_text(text.replace(old, new), encoding="utf-8")
                Path(folder, TESTS.name).write_text(TESTS.read_text(encoding="utf-8"),
                                                    encoding="utf-8")
                self.assertNotEqual(promtool("test", "rules", Path(folder, TESTS.name))[0], 0, new)

    def test_each_alert_has_a_section_of_the_runbook_and_each_section_an_alert(self):
        self.assertEqual(list(sections()), list(alerts()))
        for name, text in sections().items():
            for part in ("**Means**", "**At stake**", "**Look**", "**Do**"):
                self.assertIn(part, text, name)

    def test_the_commands_of_the_runbook_are_there(self):
        text = RUNBOOK.read_text(encoding="utf-8")
        asked = set()
        for command in re.findall(r"^orrery .*|(?<=`)orrery [a-z].*?(?=`)",
                                  text.replace("```\n", "\n"), re.M):
            words = re.sub(r"--url \S+ |-o \w+", "", command).split()[1:]
            nouns = [word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)][:2]
            flags = [word for word in words if word.startswith("--")]
            done = subprocess.run([program("orrery"), *nouns, "--help"], capture_output=True,
                                  text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, command)
            self.assertIn(f"Usage: orrery {' '.join(nouns)} ", done.stdout, command)
            for flag in flags:
                self.assertIn(flag, done.stdout, command)
            asked.add(" ".join(nouns))
        self.assertLess({"status", "log check", "log verify", "job get"}, asked)

    def test_queries_use_metrics_that_are_in_the_documents_and_all_parse(self):
        board = json.loads(draw_dashboard.DASHBOARD.read_text(encoding="utf-8"))
        queries = [query for one in draw_dashboard.panels(board)
                   for query, _ in draw_dashboard.queries(one)]
        self.assertGreater(len(queries), 20)
        texts = queries + [re.search(r"expr: (.*?)\n +(?:for|labels):", text, re.S)[1]
                           for text in alerts().values()]
        for text in texts:
            self.assertLessEqual(set(METRIC.findall(text)), known_metrics(), text)
        rules = "groups:\n  - name: panels\n    rules:\n" + "".join(
            f"      - record: panel:{number}\n        expr: {json.dumps(query)}\n"
            for number, query in enumerate(queries))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "panels.yml")
            file.write_text(rules, encoding="utf-8")
            status, said = promtool("check", "rules", file)
            self.assertEqual(status, 0, said)
            file.write_text(rules.replace("sum by", "sum bye"), encoding="utf-8")
            self.assertNotEqual(promtool("check", "rules", file)[0], 0)

    def test_the_picture_is_a_small_drawing_of_the_dashboard(self):
        picture = ROOT / "docs" / "pictures" / "dashboard.svg"
        self.assertLess(picture.stat().st_size, 200_000)
        board = json.loads(draw_dashboard.DASHBOARD.read_text(encoding="utf-8"))
        text = picture.read_text(encoding="utf-8")
        for one in board["panels"]:
            self.assertIn(f">{'▾ ' if one['type'] == 'row' else ''}{one['title']}</text>", text)


if __name__ == "__main__":
    unittest.main()
