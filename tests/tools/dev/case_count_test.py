"""tools/dev/case_count.py counts what test programs print, and takes no crash for a success."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools" / "dev"))
from case_count import count, count_ctest  # noqa: E402

RUNNING = "[==========] Running 2 tests from 1 test suite.\n[ RUN      ] a.b\n"
RAN = "[==========] 2 tests from 1 test suite ran. (0 ms total)\n"
OK_LINE = "[       OK ] a.b (0 ms)\n"
FAILED_LINE = "[  FAILED  ] a.c (0 ms)\n"


class case_count_test(unittest.TestCase):
    def check(self, text, ok, passed, failed):
        found = count(text, "x", ok)
        self.assertEqual((found.passed, found.failed), (passed, failed), found.problems)
        self.assertEqual(found.failed > 0, bool(found.problems))

    def test_googletest_counts_cases(self):
        self.check(RUNNING + OK_LINE + OK_LINE + RAN, True, 2, 0)

    def test_googletest_failures_are_counted_once(self):
        summary = "[  FAILED  ] 1 test, listed below:\n[  FAILED  ] a.c\n"
        self.check(RUNNING + OK_LINE + FAILED_LINE + RAN + summary, False, 1, 1)

    def test_a_parameterised_failure_is_counted(self):
        line = "[  FAILED  ] a.c/0, where GetParam() = 3 (0 ms)\n"
        self.check(RUNNING + OK_LINE + line + RAN, False, 1, 1)

    def test_a_crash_in_the_middle_is_a_failure(self):
        self.check(RUNNING + OK_LINE, False, 1, 1)
        self.check(RUNNING + OK_LINE, True, 1, 1)

    def test_a_program_that_fails_after_its_tests_is_a_failure(self):
        self.check(RUNNING + OK_LINE + OK_LINE + RAN, False, 2, 1)

    def test_a_program_that_runs_no_test_is_a_failure(self):
        none = "[==========] Running 0 tests from 0 test suites.\n"
        self.check(none + "[==========] 0 tests from 0 test suites ran. (0 ms total)\n", True, 0, 1)

    def test_skipped_cases_are_named_and_not_counted(self):
        text = RUNNING + OK_LINE + "[  SKIPPED ] a.s (0 ms)\n" + RAN
        self.check(text, True, 1, 0)
        self.assertEqual(count(text, "x", True).skipped, ["x: a.s"])

    def test_output_before_a_verdict_does_not_hide_it(self):
        self.check(RUNNING + "no newline" + OK_LINE + OK_LINE + RAN, True, 2, 0)

    def test_own_last_line(self):
        self.check("ok a\n3 passed, 0 failed\n", True, 3, 0)
        self.check("3 passed, 2 failed\n", False, 3, 2)
        self.check("3 passed, 0 failed\n", False, 3, 1)
        self.check("0 passed, 0 failed\n", True, 0, 1)

    def test_unittest(self):
        self.check("Ran 5 tests in 0.1s\n\nOK\n", True, 5, 0)
        self.check("Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=2)\n", False, 2, 3)
        self.check("Ran 0 tests in 0.1s\n\nOK\n", True, 0, 1)

    def test_anything_else_is_one_case(self):
        self.check("hello\n", True, 1, 0)
        self.check("", False, 0, 1)

    def ctest(self, cases):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.xml")
            path.write_text(f"<testsuite>{cases}</testsuite>", encoding="utf-8")
            return count_ctest(path)

    def test_ctest_adds_up(self):
        found = self.ctest('<testcase name="a" status="run"><system-out>4 passed, 0 failed\n'
                           '</system-out></testcase><testcase name="b" status="fail"/>')
        self.assertEqual((found.passed, found.failed), (4, 1))

    def test_ctest_that_runs_nothing_is_a_failure(self):
        self.assertEqual(self.ctest("").failed, 1)
        self.assertEqual(self.ctest('<testcase name="a" status="notrun"/>').failed, 1)
        self.assertEqual(count_ctest("/nonexistent/x.xml").failed, 1)


if __name__ == "__main__":
    unittest.main()
