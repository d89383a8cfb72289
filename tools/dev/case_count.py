"""Counts test cases in what test programs print. One that failed, or ran nothing, is a failure.

Known forms: GoogleTest, Python's unittest, and our own last line "N passed, N failed"; anything
else is one case, judged by its exit status.
"""

import re
import xml.etree.ElementTree as xml

FAILED_LINES_KEPT = 60  # of a failed test's output, shown beside the verdict

OWN = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)
GTEST_RAN = re.compile(r"^\[==========\] (\d+) tests? from \d+ test suites? ran\.", re.MULTILINE)
GTEST_START = re.compile(r"^\[==========\] Running (\d+) tests? from", re.MULTILINE)
GTEST_OK = re.compile(r"\[       OK \] (\S+)")
GTEST_FAILED = re.compile(r"\[  FAILED  \] ([^\s,]+).* \(\d+ ms\)$", re.MULTILINE)
GTEST_SKIPPED = re.compile(r"\[  SKIPPED \] ([^\s,]+).* \(\d+ ms\)$", re.MULTILINE)
UNITTEST = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
UNITTEST_BAD = re.compile(r"^FAILED \((.*)\)$", re.MULTILINE)


class tally:
    """passed, failed: numbers of cases; problems: a line each; skipped: names of skipped cases;
    output: what the failed programs printed, as far as it is not in a log anyway."""

    def __init__(self, passed=0, failed=0, problems=(), skipped=()):
        self.passed = passed
        self.failed = failed
        self.problems = list(problems)
        self.skipped = list(skipped)
        self.output = ""

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.problems += other.problems
        self.skipped += other.skipped
        self.output += other.output


def _gtest(text, name, ok):
    failed = GTEST_FAILED.findall(text)
    found = tally(len(GTEST_OK.findall(text)), len(failed), [f"{name}: {f}" for f in failed],
                  [f"{name}: {s}" for s in GTEST_SKIPPED.findall(text)])
    if not GTEST_RAN.search(text):  # it began and never reached its end
        found.failed += 1
        found.problems.append(f"{name}: ended in the middle of a test")
    elif found.passed + found.failed == 0:
        found.failed += 1
        found.problems.append(f"{name}: executed no test")
    elif not ok and not failed:
        found.failed += 1
        found.problems.append(f"{name}: every test passed, but the program failed")
    return found


def _own(text, name, ok):
    passed, failed = (int(number) for number in OWN.findall(text)[-1])
    found = tally(passed, failed, [f"{name}: {failed} failed"] if failed else [])
    if not ok and failed == 0:
        found.failed += 1
        found.problems.append(f"{name}: counts no failure, but its exit status is one")
    elif passed + failed == 0:
        found.failed += 1
        found.problems.append(f"{name}: executed no test")
    return found


def _unittest(text, name, ok):
    total = sum(int(number) for number in UNITTEST.findall(text))
    bad = 0
    for detail in UNITTEST_BAD.findall(text):
        bad += sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", detail))
    if total == 0 or (not ok and bad == 0):
        return tally(total, 1, [f"{name}: " + ("executed no test" if total == 0 else "failed")])
    return tally(total - bad, bad, [f"{name}: {bad} failed"] if bad else [])


def count(text, name, ok):
    """The tally of one program's output `text`; `ok`: it ended in time, with exit status 0."""
    if GTEST_START.search(text):
        return _gtest(text, name, ok)
    if OWN.search(text):
        return _own(text, name, ok)
    if UNITTEST.search(text):
        return _unittest(text, name, ok)
    return tally(1) if ok else tally(0, 1, [f"{name}: failed"])


def count_ctest(junit_path):
    """The tally of a ctest run, from its JUnit file. No file, or no test in it: a failure."""
    try:
        root = xml.parse(junit_path).getroot()
    except (OSError, xml.ParseError) as failure:
        return tally(0, 1, [f"ctest left no readable result: {failure}"])
    found = tally()
    for case in root.iter("testcase"):
        name = case.get("name", "?")
        output = case.findtext("system-out") or ""
        status = case.get("status", "")
        if status == "run":
            found.add(count(output, name, True))
        elif status == "fail":
            found.add(count(output, name, False))
            found.output += f"\n=== {name} failed; it printed at last:\n"
            found.output += "\n".join(output.splitlines()[-FAILED_LINES_KEPT:]) + "\n"
        else:  # "notrun", "disabled": a test that is listed and does not run hides something
            found.add(tally(0, 1, [f"{name}: {status or 'no status'}"]))
    if not found.passed and not found.failed:
        found.add(tally(0, 1, ["executed no test"]))
    return found
