"""The test suites of Orrery and the program behind `tests/run`.

Adding a suite: write a function that takes a `context` and returns a `tally`, add a row to SUITES
(cheap ones first) and a line to .ci/budget.
"""

import argparse
import fcntl
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import house
import suite_process
from case_count import count, count_ctest, tally

ROOT = house.ROOT
RESULTS = ROOT / "build" / "results"
BUDGET = ROOT / ".ci" / "budget"
OVERRUN = 1.5  # a suite that takes longer than its budget by this factor fails, where budgets count
LIMIT_S = 90 * 60  # where budgets do not count: nothing may take longer than all of CI may
LOG_LINES_SHOWN = 100  # of a failed suite
OUTPUT_BYTES_KEPT = 8 * 1024 * 1024  # of one ctest test; case counts come from this output
TSAN_TESTS = "^log_"  # the log has threads of its own; CAF in Debian is not instrumented
TSAN_CASES = "-segment_damage.*"  # one thread, minutes of it: nothing for this sanitiser to see
FUZZ_SECONDS = 33  # for each fuzz program, unless ORRERY_FUZZ_SECONDS says otherwise
SIM_SECONDS = 150  # of each job, for new seeds of the simulation; or what ORRERY_SIM_SECONDS says
FUZZ_MEMORY_MIB = 2048  # libFuzzer's limit for one fuzz program; its default, written down
JOBS = os.cpu_count() or 2


class context:
    """What a suite's function may use: its log file, its time limit, and ways to run commands."""

    def __init__(self, name, limit_s):
        self.name = name
        self.log = RESULTS / f"{name}.log"
        self.deadline = time.monotonic() + limit_s
        self.leftovers = []

    def run(self, command, env=None):
        """Runs a command in the project's root; all it prints goes to the suite's log. Blocks."""
        left_s = max(1.0, self.deadline - time.monotonic())
        done = suite_process.run([str(word) for word in command], self.log, self.name, left_s, ROOT,
                                 {**environment(), **(env or {})})
        self.leftovers += done.leftovers
        return done

    def program(self, name, command, env=None):
        """Runs a command and counts the cases in what it prints."""
        done = self.run(command, env)
        found = count(done.output, name, done.status == 0)
        if done.status is None:
            found.problems.append(f"{name}: ended at its time limit")
        return found


    def step(self, name, command):
        """Runs a command that is no test: counts only if it fails."""
        done = self.run(command)
        return tally() if done.status == 0 else tally(0, 1, [f"{name}: failed"])


def environment():
    """The environment of every command: no colours, and a compiler cache that survives a move."""
    return {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "GTEST_COLOR": "no",
        "NINJA_STATUS": "[%f/%t %es] ",
        "CCACHE_BASEDIR": str(ROOT),
        "CCACHE_NOHASHDIR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


# --- the two steps before the suites -------------------------------------------------------------


def install(run):
    """Installs packages; only root can, others must have them already."""
    if os.geteuid() != 0:
        return tally(1)
    return run.program("install-packages",
                       ["deploy/lib/install-packages", "build", "run", "kafka", "prometheus",
                        "test"])


def build(run):
    """Configures and builds everything, and finds tests that no suite would run."""
    found = run.program("configure", ["cmake", "--preset", "release"])
    if not found.failed:
        found.add(run.program("compile", ["ninja", f"-j{JOBS}", "-C", "build/release"]))
    if not found.failed:
        found.add(_every_test_has_a_suite(run))
    return found


def _every_test_has_a_suite(run):
    listed = run.run(["ctest", "--test-dir", "build/release", "--show-only=json-v1"])
    text = listed.output[listed.output.find("{") :]
    known = {label for labels in LABELS.values() for label in labels}
    found = tally(1)
    for test in json.loads(text)["tests"]:
        labels = {label for p in test.get("properties", []) if p["name"] == "LABELS"
                  for label in p["value"]}
        if not labels & known:
            said = f"no suite runs it, its labels are {sorted(labels)}"
            found.add(tally(0, 1, [f"{test['name']}: {said}"]))
    return found


# --- the suites ----------------------------------------------------------------------------------


# Which of ctest's labels a suite runs. A test that is `real` (a hypervisor, guests, root) runs
# where real ones do, whatever else it is.
LABELS = {
    "unit": ["unit"],
    "contract": ["contract"],
    "actors": ["actors"],
    "kafka": ["kafka"],
    "sim": ["sim"],
    "system": ["system", "real"],
    "pvip": ["pvip"],
    "first_boot": ["first_boot"],
    "sanitize": ["unit", "contract"],
}


def ctest_suite(jobs):
    return lambda run: ctest(run, LABELS[run.name], jobs=jobs)


def ctest(run, labels, folder="build/release", jobs=1, names=".", env=None):
    """Runs the tests of a build folder that carry one of the labels and whose name fits."""
    leave_out = [] if "real" in labels else ["-LE", "^real$"]
    junit = RESULTS / f"{run.name}-{Path(folder).name}.xml"
    junit.unlink(missing_ok=True)
    done = run.run(["ctest", "--test-dir", folder, "-L", f"^({'|'.join(labels)})$", *leave_out,
                    "-R", names, "--verbose", "--no-tests=error", "-j", jobs,
                    "--output-junit", junit,
                    "--test-output-size-passed", OUTPUT_BYTES_KEPT,
                    "--test-output-size-failed", OUTPUT_BYTES_KEPT], env)
    found = count_ctest(junit)
    with open(run.log, "a", encoding="utf-8") as log:
        log.write(found.output)  # at the end, where the last lines are shown
    if done.status != 0 and not found.failed:
        found.add(tally(0, 1, [f"ctest: exit status {done.status}, though every test passed"]))
    return found


def kafka(run):
    """The log on a real Kafka, whose jars are brought first, and the judge's module: a test's limit
    is not for that."""
    brought = run.step("bring Kafka's jars", [sys.executable, "tests/kafka/cluster.py", "--fetch"])
    brought.add(run.step("bring the judge", [sys.executable, "tests/system/judge.py", "--fetch"]))
    return brought if brought.failed else ctest(run, LABELS["kafka"], jobs=JOBS)


def sim(run):
    """Fixed seeds of the simulation, its harness proving itself, and new seeds for some minutes."""
    found = ctest(run, LABELS["sim"], jobs=JOBS)
    seconds = os.environ.get("ORRERY_SIM_SECONDS", str(SIM_SECONDS))
    found.add(run.program("new seeds", ["build/release/tests/sim/orrery-sim", "--seed",
                                        int(time.time()), "--for", f"{seconds}s",
                                        "--jobs", JOBS]))
    return found


def shell(run):
    """shellcheck over every shell script of the project."""
    scripts = [name for name in house.files() if _is_shell(ROOT / name)]
    return run.program("shellcheck", ["shellcheck", "--external-sources", "--source-path=SCRIPTDIR",
                                      *scripts])


def _is_shell(path):
    if path.suffix == ".sh":
        return True
    with open(path, "rb") as file:
        return re.match(rb"#!\s*/(usr/)?bin/(env )?(ba|da)?sh\b", file.readline(80)) is not None


def format_check(run):
    """clang-format over every C++ file."""
    sources = house.files(".cpp", ".hpp")
    return run.program("clang-format", ["clang-format-14", "--dry-run", "--Werror", *sources])


def fence(run):
    """The house's rules that need no compiler. The rest of them run in `unit`, as `tidy_house`."""
    return run.program("tidy", [sys.executable, "tools/dev/tidy.py", "--no-compile"])


def docs(run):
    return run.program("docs", [sys.executable, "tools/dev/docs_check.py"])


def deploy(run):
    found = run.program("lab_test", ["bash", "tests/deploy/lab_test.sh"])
    found.add(run.program("quickstart_test", ["bash", "tests/deploy/quickstart_test.sh"]))
    return found


def sanitize(run):
    """Address and undefined-behaviour sanitisers over pure code, thread sanitiser over the log."""
    asan = run.step("configure asan", ["cmake", "--preset", "asan"])
    asan.add(run.step("compile asan", ["ninja", f"-j{JOBS}", "-C", "build/asan"]))
    if not asan.failed:
        asan.add(ctest(run, LABELS["sanitize"], "build/asan", JOBS))
    tsan = run.step("configure tsan", ["cmake", "--preset", "asan", "-B", "build/tsan",
                                       "-DORRERY_SANITIZE=thread"])
    if not tsan.failed:
        listed = run.run(["ctest", "--test-dir", "build/tsan", "-R", TSAN_TESTS, "-N"])
        programs = re.findall(r"Test +#\d+: (\S+)", listed.output)  # named like their tests
        tsan.add(run.step("compile tsan", ["ninja", f"-j{JOBS}", "-C", "build/tsan", *programs]))
    if not tsan.failed:
        tsan.add(ctest(run, LABELS["sanitize"], "build/tsan", JOBS, TSAN_TESTS,
                       {"GTEST_FILTER": TSAN_CASES}))
    asan.add(tsan)
    return asan


def fuzz(run):
    """Builds the programs named fuzz_* or *_fuzz; each looks for crashes and is one case."""
    found = run.step("configure", ["cmake", "--preset", "fuzz"])
    listed = run.run(["ninja", "-C", "build/fuzz", "-t", "targets", "all"])
    linked = r"^(\S*\b(?:fuzz_\w+|\w+_fuzz)): CXX_EXECUTABLE_LINKER"
    programs = sorted(set(re.findall(linked, listed.output, re.MULTILINE)))
    if not programs:
        found.add(tally(0, 1, ["no fuzz program was found"]))
    if not found.failed:
        found.add(run.step("compile", ["ninja", f"-j{JOBS}", "-C", "build/fuzz", *programs]))
    if found.failed:
        return found
    seconds = os.environ.get("ORRERY_FUZZ_SECONDS", str(FUZZ_SECONDS))
    for path in programs:
        name = Path(path).name
        corpus = ROOT / "build" / "fuzz-corpus" / name
        artifacts = RESULTS / "fuzz" / name
        corpus.mkdir(parents=True, exist_ok=True)
        artifacts.mkdir(parents=True, exist_ok=True)
        seeds = ROOT / "tests" / "golden" / "fuzz" / name
        found.add(run.program(name, [ROOT / "build" / "fuzz" / path, f"-max_total_time={seconds}",
                                     f"-rss_limit_mb={FUZZ_MEMORY_MIB}", "-timeout=10",
                                     f"-artifact_prefix={artifacts}/", corpus,
                                     *([seeds] if seeds.is_dir() else [])]))
    return found


def tidy(run):
    return run.program("clang-tidy", [sys.executable, "tools/dev/clang_tidy.py"])


class suite:
    """One row of the table: name, what it shows, its function, what it needs."""

    def __init__(self, name, what, function, needs=""):
        self.name = name
        self.what = what
        self.function = function
        self.needs = needs.split()

    def not_run_because(self, broken):
        """Why this suite cannot run here, or "" when it can. `broken`: steps that failed before."""
        if "root" in self.needs and os.geteuid() != 0:
            return "needs root"
        for step in self.needs:
            if step in broken:
                return f"the {step} step failed"
        return ""


SUITES = (
    suite("fence", "the house's rules: who may include whom, sizes, names of folders", fence),
    suite("shell", "shellcheck over every script", shell, "install"),
    suite("format", "clang-format over every C++ file", format_check, "install"),
    suite("unit", "tests of pure code, parsers, projections and tools", ctest_suite(JOBS), "build"),
    suite("docs", "links, and transcripts that must still come out as printed", docs, "build"),
    suite("contract", "one suite for every log and every driver", ctest_suite(JOBS), "build"),
    suite("actors", "actors on virtual time, and whole processes without a hypervisor",
          ctest_suite(JOBS), "build"),
    suite("sim", "whole installations in one thread under a seed, with everything going wrong", sim,
          "build"),
    suite("kafka", "the log on a real Apache Kafka, and several orreryd on it, while things fail",
          kafka, "install build"),
    suite("deploy", "the lab: packages, namespaces, its own libvirtd; README's first command",
          deploy, "build root"),
    suite("pvip", "what a guest may send, on two nodes with a switch and a router", ctest_suite(1),
          "build root"),
    suite("system", "the daemon and the command line, kernel networks, the real hypervisor",
          ctest_suite(1), "build root"),
    suite("sanitize", "address, undefined behaviour and thread sanitisers", sanitize, "install"),
    suite("fuzz", "libFuzzer over the parsers", fuzz, "install"),
    suite("tidy", "clang-tidy", tidy, "build"),
    suite("first_boot", "real guests, and kills at every moment", ctest_suite(1), "build root"),
)


# --- running -------------------------------------------------------------------------------------


def read_budget(path=BUDGET):
    """{suite: minutes} from lines "name minutes", # begins a comment. ValueError: a bad line."""
    minutes = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not re.fullmatch(r"\d+(\.\d+)?", words[1]):
            raise ValueError(f"{path}:{number}: expected a suite's name and its minutes")
        minutes[words[0]] = float(words[1])
    return minutes


class report:
    """Everything that ran: rows of (name, seconds, tally), and {suite: why it was not run}."""

    def __init__(self):
        self.rows = []
        self.not_run = {}

    def failed(self):
        return sum(found.failed for _, _, found in self.rows)

    def write(self):
        passed = sum(found.passed for _, _, found in self.rows)
        result = {
            "passed": passed, "failed": self.failed(), "not_run": self.not_run,
            "suites": [{"name": name, "seconds": round(seconds, 1),
                        "passed": found.passed, "failed": found.failed,
                        "problems": found.problems, "skipped": found.skipped}
                       for name, seconds, found in self.rows],
        }
        (RESULTS / "results.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print("\nsuite          seconds   passed   failed")
        for name, seconds, found in self.rows:
            print(f"{name:<14} {seconds:7.1f}  {found.passed:7}  {found.failed:7}")
        for name, seconds, found in self.rows:
            for problem in found.problems:
                print(f"failed: {name}: {problem}")
            for skipped in found.skipped:
                print(f"skipped: {name}: {skipped}")
        for why in dict.fromkeys(self.not_run.values()):
            names = ", ".join(name for name, reason in self.not_run.items() if reason == why)
            print(f"not run: {names}: {why}")
        print(f"{passed} passed, {self.failed()} failed", flush=True)


def run_one(name, function, minutes):
    """Runs a step or a suite once, against its budget when `minutes` is not None."""
    print(f"{name} …", flush=True)
    run = context(name, LIMIT_S if minutes is None else minutes * 60 * OVERRUN)
    run.log.write_text("", encoding="utf-8")
    started = time.monotonic()
    found = function(run)
    seconds = time.monotonic() - started
    if minutes is not None and seconds > minutes * 60 * OVERRUN:
        found.add(tally(0, 1, [f"took {seconds / 60:.1f} minutes, its budget is {minutes:g}"]))
    verdict = "ok" if not found.failed else f"{found.failed} FAILED"
    print(f"  {name}: {verdict}, {found.passed} passed, {seconds:.1f} s", flush=True)
    if run.leftovers:
        names = ", ".join(sorted(set(run.leftovers)))
        print(f"  {name}: left processes behind, which are ended now: {names}")
    if found.failed:
        lines = run.log.read_text(encoding="utf-8").splitlines()[-LOG_LINES_SHOWN:]
        print(f"--- last lines of {run.log.relative_to(ROOT)}")
        print("\n".join(lines))
        print("---", flush=True)
    return seconds, found


def run_all(chosen, repeat, keep_going, budget):
    done = report()
    broken = set()
    steps = [("install", install)]
    if any("build" in s.needs for s in chosen):
        steps.append(("build", build))
    for name, function in steps:
        seconds, found = run_one(name, function, budget.get(name))
        done.rows.append((name, seconds, found if found.failed else tally()))  # steps are no tests
        if found.failed:
            broken.add(name)
    for entry in chosen:
        why = entry.not_run_because(broken)
        if not why and done.failed() and not keep_going:
            why = "something before it failed (--keep-going runs it all the same)"
        if why:
            done.not_run[entry.name] = why
            continue
        for _ in range(repeat):
            seconds, found = run_one(entry.name, entry.function, budget.get(entry.name))
            done.rows.append((entry.name, seconds, found))
            if found.failed and not keep_going:
                break
    for entry in SUITES:
        if entry not in chosen:
            done.not_run[entry.name] = "not asked for"
    done.write()
    return 1 if done.failed() else 0


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tests/run", description="Installs, builds, tests.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="default: every suite")
    parser.add_argument("--list", action="store_true", help="name the suites and stop")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run each suite N times")
    parser.add_argument("--keep-going", action="store_true", help="go on after a failed suite")
    parser.add_argument("--budget", action="store_true",
                        help="fail what exceeds .ci/budget by half (always so when CI=true)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.suites) - {s.name for s in SUITES})
    if unknown:
        parser.error(f"no suite named {', '.join(unknown)}; there are: "
                     + ", ".join(s.name for s in SUITES))
    if options.repeat < 1:
        parser.error("--repeat takes a number from 1")
    return options


def main(arguments):
    options = parse(arguments)
    if options.list:
        for entry in SUITES:
            print(f"{entry.name:<12} {entry.what}")
        return 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    lock = open(RESULTS / "lock", "w", encoding="utf-8")  # held until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("tests/run: another tests/run is at work in this tree; wait for it, or use a clone",
              file=sys.stderr)
        return 1
    suite_process.become_subreaper()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("tests/run: told to end"))
    budget = {}
    if options.budget or os.environ.get("CI") == "true":
        budget = read_budget()
        absent = [s.name for s in SUITES if s.name not in budget]
        if absent:
            print(f"tests/run: no budget in .ci/budget for {', '.join(absent)}", file=sys.stderr)
            return 1
    chosen = [s for s in SUITES if not options.suites or s.name in options.suites]
    return run_all(chosen, options.repeat, options.keep_going, budget)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
