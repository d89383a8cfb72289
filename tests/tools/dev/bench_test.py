#!/usr/bin/env python3
"""Every line of the bench gives its rows; tables fit; wrong words are refused. ORRERY_BUILD names
the build whose orrery-bench is run."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(__file__).resolve().parents[3] / "tools" / "dev" / "bench" / "bench"
FIELDS = ["id", "what", "value", "unit", "yardstick", "yardstick_what", "ratio",
          "cpu_seconds_per_million", "load"]


def load():
    loader = importlib.machinery.SourceFileLoader("bench", str(BENCH))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", loader))
    loader.exec_module(module)
    return module


bench = load()


def run(*arguments):
    return subprocess.run([sys.executable, "-B", str(BENCH), *arguments], capture_output=True,
                          text=True, check=False)


def row(**changes):
    made = {"id": "boot", "what": "a boot", "value": 1234.5, "unit": "ms", "yardstick": 1000.0,
            "yardstick_what": "virsh", "ratio": 1.2345, "cpu_seconds_per_million": None,
            "load": 0.5}
    return {**made, **changes}


class bench_test(unittest.TestCase):
    def test_an_unknown_line_is_refused_with_the_known_ones(self):
        done = run("speed")
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no line 'speed'", done.stderr)
        self.assertIn("pipeline_embedded", done.stderr)

    def test_a_page_without_a_place_for_the_table_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text("no marks\n")
            with self.assertRaises(SystemExit):
                bench.write_into(page, [row()])
            self.assertEqual(page.read_text(), "no marks\n")

    def test_the_table_of_a_page_is_replaced(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text(f"a\n{bench.TABLE_BEGINS}old\n{bench.TABLE_ENDS}b\n")
            bench.write_into(page, [row()])
            text = page.read_text()
        self.assertIn("| `boot` | a boot | 1,234 ms | 1,000 (virsh) | 1.23 | <= 1.3 |", text)
        self.assertNotIn("old", text)
        self.assertTrue(text.startswith("a\n") and text.endswith("b\n"))

    def test_a_missed_goal_is_said(self):
        self.assertEqual(bench.cells(row(ratio=1.31))[5], "<= 1.3 missed")
        self.assertEqual(bench.cells(row(ratio=1.29))[5], "<= 1.3")
        self.assertEqual(bench.cells(row(id="replay", ratio=0.49))[5], ">= 0.5 missed")

    def test_a_goal_of_the_value_is_said(self):
        self.assertEqual(bench.cells(row(id="idle_vm", unit="B", value=2049))[5],
                         "<= 2048 B missed")
        self.assertEqual(bench.cells(row(id="idle_vm", unit="B", value=2048))[5], "<= 2048 B")

    def test_a_table_fits_the_terminal(self):
        rows = [row(), row(id="pipeline_embedded.commands_per_record", unit="commands")]
        for columns in (64, 80, 100, 200):
            lines = bench.table(rows, columns)
            self.assertLessEqual(max(map(len, lines)), columns)
            self.assertEqual(len(lines), 3)

    def rows_of(self, line, folder):
        """Of a tiny run, whose first one has the line's name."""
        done = run(line, "--json", "--tiny", "--runs", "1", "--scratch", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)
        self.assertEqual(rows[0]["id"], line)
        for one in rows:
            self.assertEqual(list(one), FIELDS)
        return rows

    def test_every_line_of_the_program_gives_its_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            for line in bench.PROGRAM_LINES:
                rows = self.rows_of(line, folder)
                for one in rows:
                    self.assertGreater(one["value"], 0, one)
                self.assertGreater(rows[0]["ratio"], 0)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])

    def test_every_line_of_a_whole_orreryd_gives_its_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            for line in bench.SCALE_LINES:
                for one in self.rows_of(line, folder):  # so few VMs may cost nothing to measure
                    self.assertIsNotNone(one["yardstick"])
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])

    def test_lines_of_pvip_give_their_rows(self):
        if os.geteuid() != 0:
            self.skipTest("makes network namespaces: needs root")
        with tempfile.TemporaryDirectory() as folder:
            for line in ("pvip_udp64", "pvip_program"):
                for one in self.rows_of(line, folder):
                    self.assertGreater(one["ratio"], 0, one)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])


if __name__ == "__main__":
    unittest.main()
