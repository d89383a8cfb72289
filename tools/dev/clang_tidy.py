"""clang-tidy over the product's sources; a file whose text and includes did not change is not asked
twice. `--changed-since REF` looks only at files that differ from a commit."""

import argparse
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import house
import tidy

# Pure code, log, projections and parsers; CAF, Beast and CLI11 cost a minute of parsing a file.
FOLDERS = ("events/", "projections/", "drivers/", "pvip/")
TOOL = "clang-tidy-14"
# Warnings of clang that g++ does not have are not errors of ours; unknown flags are g++'s.
EXTRA = ("--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-error")
JOBS = os.cpu_count() or 2


def commands(build):
    """{source file: its compile command} of a build folder, for the product's own sources."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        path = Path(entry["directory"], entry["file"]).resolve()
        if path.is_relative_to(house.ROOT):
            name = path.relative_to(house.ROOT).as_posix()
            if name.startswith(FOLDERS):
                found[name] = entry["command"]
    return found


def changed_since(ref):
    """Names of files that differ from a commit; those that git does not know yet are among them."""
    listed = subprocess.run(["git", "diff", "--name-only", ref], cwd=house.ROOT,
                            capture_output=True, check=True).stdout.decode().split("\n")
    new = subprocess.run(["git", "ls-files", "--others", "--exclude-standard"], cwd=house.ROOT,
                         capture_output=True, check=True).stdout.decode().split("\n")
    return set(listed + new)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=str(house.ROOT / "build" / "release"))
    parser.add_argument("--changed-since", metavar="REF")
    parser.add_argument("files", nargs="*", help="default: all of the product")
    options = parser.parse_args(arguments)
    build = Path(options.build)
    found = commands(build)
    if options.changed_since:
        changed = changed_since(options.changed_since)
        found = {name: command for name, command in found.items() if name in changed}
    if options.files:
        found = {name: command for name, command in found.items() if name in options.files}

    t = tidy.tree(house.ROOT)
    cache = house.ROOT / "build" / "cache" / "clang-tidy"
    cache.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([TOOL, "--version"], capture_output=True, check=True).stdout.decode()
    salt = version + t.text[".clang-tidy"] + " ".join(EXTRA)

    def ask(name):
        """"" when the file is clean, else what clang-tidy says."""
        command = found[name].replace(str(build.resolve()), "").replace(str(house.ROOT), "")
        mark = cache / tidy.content_hash(t, name, salt + command)
        if mark.exists():
            return ""
        done = subprocess.run([TOOL, "-p", str(build), "--quiet", *EXTRA, name], cwd=house.ROOT,
                              capture_output=True, check=False)
        said = done.stdout.decode(errors="replace").strip()
        if done.returncode == 0 and not said:
            mark.touch()
            return ""
        return said or done.stderr.decode(errors="replace").strip() or "clang-tidy failed"

    failed, findings = 0, set()
    with ThreadPoolExecutor(max_workers=JOBS) as pool:
        for name, said in zip(sorted(found), pool.map(ask, sorted(found))):
            if said:
                failed += 1
                print(f"--- {name}\n{said}", flush=True)
                findings.update(re.findall(r"^.*(?:error|warning): .*$", said, re.MULTILINE))
            else:
                print(f"ok {name}", flush=True)
    for finding in sorted(findings):  # once more, without the notes: a header's is in many files
        print(finding.replace(f"{house.ROOT}/", ""))
    print(f"{len(found) - failed} passed, {failed} failed")
    return 1 if failed or not found and not options.changed_since else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
