"""The outside judge of the API's answers: porcupine, by the program in tests/system/linearizable.

    python3 judge.py --fetch      bring the module and build the program
    python3 judge.py FILE…        judge histories

Go keeps what it brings in build/cache/go. Standard library only.
"""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE / "linearizable"
CACHE = HERE.parents[1] / "build" / "cache" / "go"
PROGRAM = CACHE / "linearizable"
BUILD_LIMIT = 600  # a minute, when Go has to compile its own library first


def fetch():
    """The judge, built. `go.sum` says which bytes are right."""
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["go", "build", "-o", str(PROGRAM), "."], cwd=SOURCE, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=BUILD_LIMIT, check=False,
        env=dict(os.environ, GOCACHE=str(CACHE / "build"), GOMODCACHE=str(CACHE / "modules"),
                 GOFLAGS="-modcacherw -buildvcs=false", GOTOOLCHAIN="local"))
    if done.returncode != 0:
        raise SystemExit(f"go build in {SOURCE}: {done.stderr[-2000:]}")
    return PROGRAM


def judge(*files):
    """(exit status, what it says): 0 linearizable, 1 not, 2 not judged."""
    done = subprocess.run([fetch(), *files], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main():
    if sys.argv[1:] == ["--fetch"]:
        fetch()
        return 0
    status, said = judge(*sys.argv[1:])
    print(said, end="")
    return status


if __name__ == "__main__":
    sys.exit(main())
