"""The rules of the house that a machine can judge, run by ctest as `tidy_house`.

Prints `file:line: what is wrong`, then `N passed, N failed` counted by rule. The tables below are
the rules; to change one, change the design first (docs/architecture.md).
"""

import argparse
import hashlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import house

# --- the fence -----------------------------------------------------------------------------------
# Who may include whom. The longest name that fits a file's path is its unit; a unit may include
# itself and what stands behind it here ("events" allows every unit below events/).
MAY_INCLUDE = {
    "events/core": (),
    "events/schema": ("events/core",),
    "events/domain": ("events/core", "events/schema"),
    "events/log": ("events/core", "events/schema"),
    "projections": ("events",),
    "drivers": ("events",),
    "pvip": ("events",),
    "actors/engine": ("events", "projections"),
    "actors": ("events", "projections", "drivers", "pvip", "actors/engine"),
    "tools": ("events", "projections", "drivers", "pvip", "actors"),
    "tools/orrery-nft": (),  # of another licence
    "tests": ("events", "projections", "drivers", "pvip", "actors", "tools"),
}

# Who owns a third-party header: its .cpp files may include it, and tests may. A "+" in front of an
# owner lets its headers include it too.
OWNERS = {
    "boost/": ("actors",),
    "caf/": ("+actors",),
    "CLI/": ("tools",),
    "fmt/": ("events/log", "projections", "drivers", "pvip/apply", "actors", "tools"),
    "google/protobuf/": ("+events", "+projections", "actors", "tools"),
    "grpc/": ("actors",),
    "grpcpp/": ("actors",),
    "isa-l": ("events/log",),
    "libmnl/": ("pvip/apply",),
    "librdkafka/": ("events/log",),
    "libvirt/": ("drivers/libvirt",),
    "linux/if_addr.h": ("pvip/apply",),
    "linux/if_link.h": ("pvip/apply",),
    "linux/neighbour.h": ("pvip/apply",),
    "linux/netfilter/": ("pvip/apply",),
    "linux/netlink.h": ("pvip/apply",),
    "linux/rtnetlink.h": ("pvip/apply",),
    "nftables/": ("tools/orrery-nft",),
    "nlohmann/": ("pvip/apply", "actors", "tools"),
    "openssl/": ("events/log", "projections", "actors", "tools"),
    "prometheus/": ("projections",),
    "rocksdb/": ("projections",),
    "toml++/": ("actors", "tools"),
    "utf8proc.h": ("tools",),
}
TEST_OWNED = ("gtest/", "gmock/", "httplib.h")
PROTOBUF_HEADERS = ("events", "projections")  # whose headers may include *.pb.h

# Code that knows no clock, random, thread, I/O or system: the standard library only, less these.
PURE = ("events/core", "events/domain", "pvip/guest", "pvip/plan", "pvip/upstream",
        "projections/billing", "events/log/history.", "events/log/liveness.", "events/log/owner.")
NOT_PURE = ("events/core/crash_point.",)  # ends the process where a test says so: an act by nature
PURE_THIRD_PARTY = ("google/protobuf/", "openssl/",  # messages and hashes are pure,
                    "arpa/inet.h")                   # and texts of addresses
IMPURE_STANDARD = {"barrier", "condition_variable", "filesystem", "fstream", "future", "iostream",
                   "latch", "mutex", "random", "semaphore", "shared_mutex", "stop_token", "thread"}

# --- sizes and names -----------------------------------------------------------------------------
LINE_COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70  # from the line of its { to the line of its }
README_LINES_MAX = 40
ARCHITECTURE_LINES_MAX = 300
TOP_FOLDERS = {"actors", "cmake", "deploy", "docs", "drivers", "events", "projections", "pvip",
               "tests", "tools"}
README_FOLDERS = ("actors", "deploy", "drivers", "events", "projections", "pvip", "tests", "tools")
TOP_FILES = {".clang-format", ".clang-tidy", ".gitignore", "CHANGELOG.md", "CMakeLists.txt",
             "CMakePresets.json", "CONTRIBUTING.md", "LICENSE", "README.md"}
TOP_HIDDEN_FOLDERS = {".ci"}
CODE = (".cpp", ".hpp", ".py", ".sh", ".bash")
TEXT = (*CODE, ".md", ".txt", ".cmake", ".json", ".proto", ".toml", ".service", "")

# Words that must not stand in a file. One letter in brackets, so that this table passes itself.
WORDS = (
    (r"TO[D]O(?!\(#\d+\))", "a bare to-do: name the issue that will do it, as in (#12)"),
    (r"\bFI[X]ME\b|\bXX[X]\b", "mend it, or name the issue that will"),
    (r"(?<![\w.])/(?:wor[k]|far[m])/|/tmp/bash[_]jobs", "a path of somebody's machine"),
    (r"\b[A]I\b|(?i:\b[a]ssistant\b|\b[l]anguage model\b)", "not a word about who typed it"),
)
# Code that the style forbids: pattern, where and where not (prefixes of paths), why.
BANNED = (
    (r"\bstd::(?:ranges::)?views?::", ("",), (), "does not parse under clang 14"),
    (r"\branges::(?:equal_range|find_end|partition|remove|remove_if|rotate|search|unique)\(",
     ("",), (), "clang 14 does not parse algorithms that answer a subrange"),
    (r"#include <format>", ("",), (), "g++ 12 has no <format>: use fmt"),
    (r"#include [<\"]caf/(?:all|test/dsl)\.hpp", ("",), (), "include the precise header"),
    (r"\bcaf::infinite\b", ("",), (), "every request has a finite timeout"),
    (r"\[=\]", ("",), (), "capture by name"),
    (r"\b(?:sleep_for|sleep_until|usleep)\b", ("tests/",), ("tests/support/wait.",),
     "wait for a condition; only tests/support/wait.* may pause between two looks"),
    (r"::now\(\)|\bstd::time\(|\bgetenv\(", PURE, NOT_PURE, "pure code is told the time"),
)


def unit_of(path):
    """The row of MAY_INCLUDE that a file belongs to, or ""."""
    return max((u for u in MAY_INCLUDE if path.startswith(u + "/")), key=len, default="")


def below(path, prefixes):
    return any(path == p or path.startswith(p if p.endswith((".", "/")) else p + "/")
               for p in prefixes)


class tree:
    """The files of a house, read once. Findings are lines "file:line: text"."""

    def __init__(self, root):
        self.root = Path(root)
        self.files = house.files(root=self.root)
        self.text = {}
        for name in self.files:
            if Path(name).suffix in TEXT:
                self.text[name] = (self.root / name).read_text(encoding="utf-8", errors="replace")
        self.sources = [f for f in self.files if f.endswith((".cpp", ".hpp"))]
        self.code = {name: blank(self.text[name]) for name in self.sources}

    def includes(self, name):
        """[(line number, "<" or '"', path)] of a C++ file."""
        found = []
        for number, line in enumerate(self.text[name].splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if match:
                found.append((number, match[1], match[2]))
        return found


_NOT_CODE = re.compile(
    r'R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"'  # raw string
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'"  # a character, not the ' in 1'000
    r"|//[^\n]*|/\*.*?\*/", re.DOTALL)


def blank(text):
    """The text with comments, strings and characters turned into blanks; lines stay where they are.
    Paths of includes stay too."""
    def erase(match):
        line_start = text.rfind("\n", 0, match.start()) + 1
        if re.match(r"\s*#\s*include\b", text[line_start : match.start()]):
            return match[0]
        return re.sub(r"[^\n]", " ", match[0])
    return _NOT_CODE.sub(erase, text)


# --- functions and their length ------------------------------------------------------------------


def _declaration_kind(text):
    """What a brace after this text opens: a "scope" (namespace, class), a "body", or "other"."""
    # § stands for anything in brackets, so that what is inside them decides nothing.
    text = re.sub(r"\boperator\s*(\(\s*\)|[^\w\s(]+)", "op", text).replace("->", "  ")
    for pattern in (r"\([^()]*\)", r"\{[^{}]*\}"):
        while re.search(pattern, text):
            text = re.sub(pattern, "§", text)
    while re.search(r"<[^<>]*>", text):
        text = re.sub(r"<[^<>]*>", "", text)
    text = re.sub(r"\balignas\s*§|\[\[.*?\]\]", " ", text)
    if re.search(r"\benum\b[^§]*$", text):
        return "other"
    if re.search(r"\b(namespace|class|struct|union)\b[^=§]*$|\bextern\s*$", text):
        return "scope"
    if re.search(r"§[\w\s]*:(?!:)", text) and re.search(r"\w\s*$", text):
        return "other"  # a member in a constructor's list: x_name{…}
    if re.search(r"\brequires\s*§?\s*$", text) or "=" in text:
        return "other"
    return "body" if "§" in text else "other"


def function_bodies(code):
    """[(line of {, number of lines)] of every outermost function body in blanked code."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m[0]), code,
                  flags=re.MULTILINE)
    found, stack, start = [], [], 0
    for match in re.finditer(r"[{};]", code):
        at_scope = all(kind == "scope" for kind, _ in stack)
        if match[0] == ";":
            start = match.end() if at_scope else start
        elif match[0] == "{":
            kind = _declaration_kind(code[start : match.start()]) if at_scope else "inner"
            stack.append((kind, match.start()))
            start = match.end() if kind == "scope" else start
        elif stack:
            kind, opened = stack.pop()
            if kind == "body":
                first = code.count("\n", 0, opened) + 1
                found.append((first, code.count("\n", opened, match.start()) + 1))
            if kind in ("body", "scope"):
                start = match.end()
    return found


# --- the rules -----------------------------------------------------------------------------------


def rule_fence(t):
    """Folders include only what the design allows."""
    for name in t.sources:
        unit = unit_of(name)
        for line, _, path in t.includes(name):
            target = unit_of(path)
            if unit and target and target != unit and not below(target, MAY_INCLUDE[unit]):
                yield f"{name}:{line}: {unit} must not include {target}"
            if target == "tools" and unit == "tools" and path.split("/")[1] != name.split("/")[1]:
                yield f"{name}:{line}: one program must not include another's files"


def rule_generated(t):
    """Generated headers stand in headers of events and projections only."""
    for name in t.sources:
        for line, _, path in t.includes(name):
            allowed = name.endswith(".cpp") or below(name, PROTOBUF_HEADERS)
            if path.endswith(".pb.h") and not allowed:
                yield f"{name}:{line}: {path} in a header: include it in the .cpp"


def _third_party(path):
    """The row of OWNERS for an include, "" for the standard or system library, None if unknown."""
    row = max((o for o in OWNERS if path == o or path.startswith(o)), key=len, default=None)
    if row:
        return row
    standard = re.fullmatch(r"[a-z_]+", path)
    system = re.fullmatch(r"[a-z0-9_]+\.h|(?:sys|net|netinet|arpa|linux)/[a-z0-9_]+\.h", path)
    return "" if standard or system or path.startswith(TEST_OWNED) else None


def rule_third_party(t):
    """Third-party headers stay in the .cpp files of the folder that owns them."""
    for name in t.sources:
        for line, bracket, path in t.includes(name):
            if unit_of(path):
                continue
            row = _third_party(path)
            if row is None or (bracket == '"' and not row):
                yield f"{name}:{line}: {path} has no owner in tools/dev/tidy.py"
            elif path.startswith(TEST_OWNED) and not below(name, ("tests",)):
                yield f"{name}:{line}: {path} outside tests/"
            elif row and not below(name, ("tests",)):
                owners = OWNERS[row]
                if not below(name, [o.lstrip("+") for o in owners]):
                    yield f"{name}:{line}: {path} belongs to {', '.join(owners).replace('+', '')}"
                elif name.endswith(".hpp") and not below(name, [o[1:] for o in owners
                                                                if o.startswith("+")]):
                    yield f"{name}:{line}: {path} in a header: include it in the .cpp"


def rule_pure(t):
    """Pure code includes nothing that knows clocks, threads or the world."""
    for name in t.sources:
        if not below(name, PURE) or below(name, NOT_PURE):
            continue
        for line, bracket, path in t.includes(name):
            if bracket == '"' or path.startswith(PURE_THIRD_PARTY):
                continue
            if not re.fullmatch(r"[a-z_]+", path) or path in IMPURE_STANDARD:
                yield f"{name}:{line}: <{path}> in pure code"


def rule_lines(t):
    """No long lines, no tabs."""
    for name, text in t.text.items():
        for number, line in enumerate(text.splitlines(), 1):
            if name.endswith(CODE) and len(line) > LINE_COLUMNS_MAX:
                yield f"{name}:{number}: {len(line)} columns, at most {LINE_COLUMNS_MAX}"
            if "\t" in line and Path(name).name != "LICENSE":
                yield f"{name}:{number}: a tab"


def rule_functions(t):
    """No long functions."""
    for name in t.sources:
        for line, lines in function_bodies(t.code[name]):
            if lines > FUNCTION_LINES_MAX:
                yield f"{name}:{line}: a function of {lines} lines, at most {FUNCTION_LINES_MAX}"


def rule_headers(t):
    """Every header is included once, and brings no namespace into who includes it."""
    for name in t.sources:
        if name.endswith(".hpp"):
            if not t.text[name].startswith("#pragma once\n"):
                yield f"{name}:1: does not begin with #pragma once"
            for number, line in enumerate(t.code[name].splitlines(), 1):
                if re.match(r"\s*using\s+namespace\b", line):
                    yield f"{name}:{number}: using namespace in a header"
        elif not _own_header_first(t, name) and name[:-4] + ".hpp" in t.text:
            yield f"{name}:1: its own header must be its first include"


def _own_header_first(t, cpp):
    includes = t.includes(cpp)
    return bool(includes) and includes[0][2] == cpp[:-4] + ".hpp"


def rule_listed(t):
    """Every source file is named in a CMakeLists.txt; none is globbed."""
    named = []
    for name, text in t.text.items():
        if Path(name).name != "CMakeLists.txt":
            continue
        text = re.sub(r"#[^\n]*", "", text)
        folder = Path(name).parent.as_posix()
        words = re.findall(r"[^\s()\"]+\.(?:cpp|proto)\b", text)
        named += [_as_pattern(folder, word) for word in words]
        if re.search(r"file\s*\(\s*GLOB", text, re.IGNORECASE):
            yield f"{name}:1: a glob: name each file"
    every = re.compile("|".join(named) or "(?!)")
    for name in t.files:
        if name.endswith((".cpp", ".proto")) and not every.fullmatch(name):
            yield f"{name}:1: no CMakeLists.txt names it"


def _as_pattern(folder, word):
    """A regular expression for the path that a word of a folder's list names; the variable of a
    foreach stands for any part of a name."""
    if word.startswith("${PROJECT_SOURCE_DIR}/"):
        folder, word = ".", word.split("/", 1)[1]
    path = word if folder == "." else f"{folder}/{word}"
    return r"[\w.-]+".join(re.escape(part) for part in re.split(r"\$\{\w+\}", path))


def rule_words(t):
    """Words that must not stand anywhere."""
    for name, text in t.text.items():
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, why in WORDS:
                match = re.search(pattern, line)
                if match:
                    yield f"{name}:{number}: {match[0]!r}: {why}"


def rule_banned(t):
    """Code that the style forbids."""
    for name, code in t.code.items():
        for number, line in enumerate(code.splitlines(), 1):
            for pattern, where, where_not, why in BANNED:
                if (name.startswith(where) and not name.startswith(where_not)
                        and re.search(pattern, line)):
                    yield f"{name}:{number}: {line.strip()[:60]}: {why}"


def rule_documents(t):
    """Documents that must stay short enough to be read."""
    limits = {f"{folder}/README.md": README_LINES_MAX for folder in README_FOLDERS}
    limits["docs/architecture.md"] = ARCHITECTURE_LINES_MAX
    for name, limit in limits.items():
        if name not in t.text:
            yield f"{name}:1: is missing"
        elif len(t.text[name].splitlines()) > limit:
            yield f"{name}:{limit + 1}: more than {limit} lines"


def rule_top_level(t):
    """The top level holds the folders and files of the design, no more and no less."""
    folders = {name.split("/")[0] for name in t.files if "/" in name}
    names = {name for name in t.files if "/" not in name}
    for folder in sorted(folders - TOP_FOLDERS - TOP_HIDDEN_FOLDERS):
        yield f"{folder}:1: not a folder of the design"
    for folder in sorted(TOP_FOLDERS - folders):
        yield f"{folder}:1: a folder of the design is missing"
    for name in sorted(names - TOP_FILES):
        yield f"{name}:1: not a file of the top level"
    for name in sorted(TOP_FILES - names):
        yield f"{name}:1: is missing"


RULES = (rule_fence, rule_generated, rule_third_party, rule_pure, rule_lines, rule_functions,
         rule_headers, rule_listed, rule_words, rule_banned, rule_documents, rule_top_level)


# --- headers that stand alone --------------------------------------------------------------------


def closure(t, name, seen=None):
    """Names of all project files that a file includes, and its own; generated ones as .proto."""
    seen = set() if seen is None else seen
    if name not in seen and name in t.text:
        seen.add(name)
        for _, _, path in t.includes(name) if name.endswith((".hpp", ".cpp")) else ():
            closure(t, re.sub(r"\.pb\.h$", ".proto", path), seen)
        for path in re.findall(r'^import "([^"]+)"', t.text[name], re.MULTILINE):
            closure(t, path, seen)
    return seen


def content_hash(t, name, salt):
    """SHA-256 over a file and everything of the project that it includes."""
    digest = hashlib.sha256(salt.encode())
    for each in sorted(closure(t, name)):
        digest.update(each.encode() + b"\0" + t.text[each].encode() + b"\0")
    return digest.hexdigest()


def rule_self_contained(t, build, compiler):
    """Every header compiles alone. One that its own .cpp includes first is shown by the build."""
    cache = t.root / "build" / "cache" / "headers"
    cache.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
    alone = [h for h in t.sources if h.endswith(".hpp")
             and not (h[:-4] + ".cpp" in t.text and _own_header_first(t, h[:-4] + ".cpp"))]

    def compile_one(header):
        mark = cache / content_hash(t, header, version.decode())
        if mark.exists():
            return None
        done = subprocess.run(
            [compiler, "-std=c++20", "-fsyntax-only", "-x", "c++", "-w", "-I", str(t.root),
             "-I", str(Path(build) / "generated"), "-include", header, "/dev/null"],
            cwd=t.root, capture_output=True, check=False)
        if done.returncode == 0:
            mark.touch()
            return None
        said = done.stderr.decode(errors="replace").splitlines()
        reason = next((line for line in said if "error:" in line), "it does not compile")
        return f"{header}:1: does not stand alone: {reason}"

    with ThreadPoolExecutor(max_workers=2) as pool:
        return [found for found in pool.map(compile_one, alone) if found]


def judge(root, build="", compiler="g++"):
    """{rule's documentation: its findings}; headers are compiled when `build` is given."""
    t = tree(root)
    found = {rule.__doc__: sorted(set(rule(t))) for rule in RULES}
    if build:
        found["Every header compiles alone."] = rule_self_contained(t, build, compiler)
    return found


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default=house.ROOT, help="the house to judge")
    parser.add_argument("--build", default=str(house.ROOT / "build" / "release"),
                        help="a build folder, for generated headers")
    parser.add_argument("--no-compile", action="store_true", help="leave out the compiler's part")
    options = parser.parse_args(arguments)
    results = judge(options.root, "" if options.no_compile else options.build)
    for rule, findings in results.items():
        if findings:
            print(f"{rule}")
            for finding in findings:
                print(f"  {finding}")
    failed = sum(1 for findings in results.values() if findings)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
