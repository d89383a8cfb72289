"""Judges the documents: every link leads somewhere, and every transcript comes out as printed.

A transcript is a fenced block marked `console checked`. Each line that begins with "$ " is run by
bash in the project's root; what follows must be what it prints, where "…" stands for anything
within a line, and a line that is only "…" for any lines.
"""

import re
import subprocess
import sys
from pathlib import Path

import house

COMMAND_LIMIT_S = 60  # a transcript shows a quick command; long ones are suites of their own
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)


def anchors(text):
    """The names under which a document's headings can be linked."""
    text = FENCE.sub("", text)
    return {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-")
            for h in HEADING.findall(text)}


def broken_links(root, name):
    """Findings for links to files or headings that are not there; the web is not asked."""
    text = (root / name).read_text(encoding="utf-8")
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub(lambda m: "\n" * m[0].count("\n"), text))
    for match in LINK.finditer(prose):
        target = match[1]
        if re.match(r"[a-z]+:", target):
            continue
        line = prose.count("\n", 0, match.start()) + 1
        path, _, anchor = target.partition("#")
        file = (root / name).parent / path if path else root / name
        if not file.exists():
            yield f"{name}:{line}: {target} is not there"
        elif anchor and file.is_file() and anchor not in anchors(file.read_text(encoding="utf-8")):
            yield f"{name}:{line}: {target} names no heading"


def transcripts(text):
    """[(line, command, expected output)] of a document's checked transcripts."""
    found = []
    for match in FENCE.finditer(text):
        if match[1].split() != ["console", "checked"]:
            continue
        line = text.count("\n", 0, match.start()) + 1
        for part in re.split(r"^\$ ", match[2], flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((line, command, output))
    return found


def comes_out(expected, output):
    """Whether a command's output is the one printed."""
    pattern = ""
    for line in expected.rstrip("\n").split("\n") if expected.strip() else []:
        whole = r"(?:[^\n]*\n)*" if line.strip() == "…" else None
        pattern += whole or r"[^\n]*".join(re.escape(p) for p in line.split("…")) + r"\n"
    return re.fullmatch(pattern, output.rstrip("\n") + "\n" if output.strip() else "") is not None


def wrong_transcripts(root, name):
    for line, command, expected in transcripts((root / name).read_text(encoding="utf-8")):
        try:
            done = subprocess.run(["bash", "-c", command], cwd=root, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                                  timeout=COMMAND_LIMIT_S)
        except subprocess.TimeoutExpired:
            yield f"{name}:{line}: `{command}` took more than {COMMAND_LIMIT_S} s"
            continue
        output = done.stdout.decode(errors="replace")
        if not comes_out(expected, output):
            yield f"{name}:{line}: `{command}` prints otherwise:\n{output}"


def main():
    names = house.files(".md")
    findings, judged = [], 0
    for name in names:
        for check in (broken_links, wrong_transcripts):
            judged += 1
            findings.append(list(check(house.ROOT, name)))
    for finding in (f for group in findings for f in group):
        print(finding)
    failed = sum(1 for group in findings if group)
    print(f"{judged - failed} passed, {failed} failed")
    return 1 if failed or not judged else 0


if __name__ == "__main__":
    sys.exit(main())
