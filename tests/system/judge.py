"""Outside judges that are Go modules: porcupine (`linearizable`) of the API's answers, Grafana's
published schema (`dashboard`) of the dashboard.

    python3 judge.py --fetch            bring the modules and build the programs
    python3 judge.py NAME FILE…         judge files

Go keeps what it brings in build/cache/go. Standard library only.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parents[1] / "build" / "cache" / "go"
NAMES = ("linearizable", "dashboard")
BUILD_LIMIT = 600  # a minute, when Go has to compile its own library first
SCHEMA = "github.com/grafana/grafana-foundation-sdk/go"
SCHEMA_GO = (1, 21)  # what it asks for; Debian 12 has 1.19


def go(name, *words):
    """What `go` says in the folder of a judge."""
    # GODEBUG: else files that an overlay adds to a module are not seen.
    done = subprocess.run(
        ["go", *words], cwd=HERE / name, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=BUILD_LIMIT, check=False,
        env=dict(os.environ, GOCACHE=str(CACHE / "build"), GOMODCACHE=str(CACHE / "modules"),
                 GOFLAGS="-modcacherw -buildvcs=false", GOTOOLCHAIN="local", GODEBUG="goindex=0"))
    if done.returncode != 0:
        raise SystemExit(f"go {words[0]} in {HERE / name}: {done.stderr[-2000:]}")
    return done.stdout.strip()


def overlay(name):
    """Arguments that give an older Go the three functions of newer ones that the schema uses. The
    judge itself stays as it is."""
    version = tuple(map(int, re.search(r"go(\d+)\.(\d+)", go(name, "version")).groups()))
    if name != "dashboard" or version >= SCHEMA_GO:
        return []
    go(name, "mod", "download")
    library = pathlib.Path(go(name, "env", "GOROOT"), "src")
    module = pathlib.Path(go(name, "list", "-m", "-f", "{{.Dir}}", SCHEMA))
    older = HERE / name / "older"
    places = {library / "errors" / "older.go": older / "errors_join.go",
              library / "sync" / "older.go": older / "sync_oncevalue.go",
              module / "dashboard" / "older.go": older / "dashboard_max.go"}
    file = CACHE / "overlay.json"
    file.write_text(json.dumps({"Replace": {str(to): str(what) for to, what in places.items()}}))
    return ["-overlay", str(file)]


def fetch(name):
    """A judge, built. `go.sum` says which bytes are right."""
    CACHE.mkdir(parents=True, exist_ok=True)
    program = CACHE / name
    go(name, "build", *overlay(name), "-o", str(program), ".")
    return program


def judge(name, *files):
    """(exit status, what it says): 0 right, 1 not, 2 not judged."""
    done = subprocess.run([fetch(name), *files], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main():
    if sys.argv[1:] == ["--fetch"]:
        for name in NAMES:
            fetch(name)
        return 0
    status, said = judge(*sys.argv[1:])
    print(said, end="")
    return status


if __name__ == "__main__":
    sys.exit(main())
