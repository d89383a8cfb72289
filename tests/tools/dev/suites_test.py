"""tools/dev/suites.py: budgets, limits, and processes that a suite leaves behind."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[3] / "tools" / "dev"
sys.path.insert(0, str(TOOLS))
import suites  # noqa: E402


def isolated(program):
    """Runs Python code in a process of its own (the runner adopts orphans, a test should not)."""
    done = subprocess.run([sys.executable, "-B", "-c", program], cwd=TOOLS, capture_output=True,
                          text=True, check=False, timeout=60)
    return done.stdout.strip() + done.stderr.strip()


class suites_test(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def budget(self, text):
        path = self.folder / "budget"
        path.write_text(text, encoding="utf-8")
        return suites.read_budget(path)

    def test_a_budget_line_is_a_name_and_minutes(self):
        self.assertEqual(self.budget("# x\nunit 3 # y\nfence  0.5\n\n"), {"unit": 3, "fence": 0.5})

    def test_a_bad_budget_line_is_named(self):
        for bad in ("unit\n", "unit three\n", "unit 3 4\n", "unit -1\n"):
            with self.assertRaisesRegex(ValueError, "budget:2"):
                self.budget("a 1\n" + bad)

    def test_every_suite_and_step_has_a_budget(self):
        names = {s.name for s in suites.SUITES} | {"install", "build"}
        self.assertEqual(set(suites.read_budget()), names)

    def test_all_budgets_together_fit_the_hour(self):
        self.assertLessEqual(sum(suites.read_budget().values()), 60)

    def test_a_suite_that_exceeds_its_budget_by_half_fails(self):
        folder = str(self.folder)
        program = ("import pathlib, suites\n"
                   f"suites.RESULTS = suites.ROOT = pathlib.Path({folder!r})\n"
                   "slow = lambda run: run.program('slow', ['sleep', '30'])\n"
                   "print(suites.run_one('slow', slow, 0.001)[1].problems)")
        said = isolated(program)
        self.assertIn("slow: ended at its time limit", said)
        self.assertIn("its budget is 0.001", said)

    def test_what_a_command_leaves_running_is_ended_and_named(self):
        log = str(self.folder / "log")
        program = ("import suite_process as p; p.become_subreaper()\n"
                   "command = ['bash', '-c', 'setsid sleep 600 & disown; echo out']\n"
                   f"done = p.run(command, {log!r}, 'x', 30, '/')\n"
                   "print(done.status, done.output.strip(), len(done.leftovers), p.descendants())")
        self.assertEqual(isolated(program), "0 out 1 []")

    def test_processes_of_others_are_left_alone(self):
        with subprocess.Popen(["sleep", "600"]) as other:
            log = str(self.folder / "log")
            program = ("import suite_process as p; p.become_subreaper()\n"
                       f"print(p.run(['true'], {log!r}, 'x', 30, '/').leftovers)")
            self.assertEqual(isolated(program), "[]")
            self.assertIsNone(other.poll())
            other.kill()

    def test_a_runner_that_is_told_to_end_takes_its_command_along(self):
        log, pid = self.folder / "log", self.folder / "pid"
        program = ("import signal, sys, suite_process as p; p.become_subreaper()\n"
                   "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
                   f"act = 'echo $$ >{pid}; kill $PPID; exec sleep 600'\n"
                   f"p.run(['bash', '-c', act], {str(log)!r}, 'x', 30, '/')")
        isolated(program)
        self.assertFalse(Path("/proc", pid.read_text(encoding="utf-8").strip()).exists())

    def test_a_command_that_cannot_start_says_why(self):
        log = str(self.folder / "log")
        program = ("import suite_process as p\n"
                   f"done = p.run(['/nonexistent'], {log!r}, 'x', 30, '/')\n"
                   "print(done.status, done.output.strip())")
        self.assertRegex(isolated(program), r"^127 .*No such file")

    def test_an_unknown_suite_is_refused_with_the_names_there_are(self):
        done = subprocess.run([sys.executable, "-B", TOOLS / "suites.py", "unti"],
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no suite named unti; there are: fence", done.stderr)

    def test_a_suite_says_why_it_cannot_run(self):
        entry = suites.suite("x", "", None, "build")
        self.assertEqual(entry.not_run_because({"build"}), "the build step failed")
        self.assertEqual(entry.not_run_because(set()), "")
        if os.geteuid() != 0:
            entry = suites.suite("x", "", None, "root")
            self.assertEqual(entry.not_run_because(set()), "needs root")


if __name__ == "__main__":
    unittest.main()
