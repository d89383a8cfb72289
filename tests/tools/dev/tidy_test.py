"""tools/dev/tidy.py finds each kind of violation in a small house, and none in a clean one."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools" / "dev"))
import tidy  # noqa: E402

HEADER = "#pragma once\n\nnamespace orrery {}\n"


def clean_house():
    """{path: content} of the smallest tree without a finding."""
    files = {name: "" for name in tidy.TOP_FILES}
    files |= {f"{folder}/README.md": "x\n" for folder in tidy.README_FOLDERS}
    files |= {".ci/run": "", "docs/architecture.md": "x\n", "cmake/x.cmake": "\n"}
    files["events/core/id.hpp"] = HEADER
    files["events/core/id.cpp"] = '#include "events/core/id.hpp"\n'
    files["events/core/CMakeLists.txt"] = "add_library(core id.cpp)\n"
    return files


def lines(count, text="  f();\n"):
    return text * count


class tidy_test(unittest.TestCase):
    def findings(self, changes, build=False):
        """Findings of the clean house with some files changed, added, or (None) removed."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in {**clean_house(), **changes}.items():
                if content is not None:
                    path = Path(folder, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(content, encoding="utf-8")
            judged = tidy.judge(folder, str(Path(folder, "build")) if build else "")
            return [finding for findings in judged.values() for finding in findings]

    def found(self, changes, expected, build=False):
        """Exactly one finding, and it holds the expected text."""
        findings = self.findings(changes, build)
        self.assertEqual(len(findings), 1, findings)
        self.assertIn(expected, findings[0])

    def header(self, path, include):
        return {path: f"#pragma once\n\n#include {include}\n"}

    def source(self, path, text):
        """A source file and the list that names it."""
        name = Path(path)
        return {path: text, f"{name.parent.as_posix()}/CMakeLists.txt":
                f"add_library(x {name.name} id.cpp)\n"}

    def test_a_clean_house_has_no_findings(self):
        self.assertEqual(self.findings({}), [])
        self.assertEqual(self.findings({}, build=True), [])

    def test_core_must_not_include_domain(self):
        self.found(self.header("events/core/a.hpp", '"events/domain/vm.hpp"'),
                   "events/core/a.hpp:3: events/core must not include events/domain")

    def test_neighbours_never_include_each_other(self):
        for one in ("projections", "drivers", "pvip"):
            for other in {"projections", "drivers", "pvip"} - {one}:
                self.found(self.header(f"{one}/a.hpp", f'"{other}/b.hpp"'),
                           f"{one} must not include {other}")

    def test_nobody_includes_what_stands_above(self):
        self.found(self.header("pvip/a.hpp", '"actors/b.hpp"'), "pvip must not include actors")
        self.found(self.header("actors/a.hpp", '"tools/b.hpp"'), "actors must not include tools")
        self.found(self.header("tools/a.hpp", '"tests/b.hpp"'), "tools must not include tests")
        self.found(self.header("events/log/a.hpp", '"events/domain/b.hpp"'),
                   "events/log must not include events/domain")

    def test_what_is_allowed_is_not_found(self):
        for path, include in (("events/log/a.hpp", '"events/schema/r.pb.h"'),
                              ("actors/a.hpp", "<caf/fwd.hpp>"),
                              ("tests/support/a.hpp", '"actors/b.hpp"'),
                              ("pvip/apply/a.hpp", '"pvip/plan/b.hpp"')):
            self.assertEqual(self.findings(self.header(path, include)), [])

    def test_one_program_includes_nothing_of_another(self):
        self.found(self.header("tools/orrery/a.hpp", '"tools/orreryd/b.hpp"'), "another's files")

    def test_generated_headers_stay_out_of_drivers_headers(self):
        self.found(self.header("drivers/a.hpp", '"events/schema/vm.pb.h"'),
                   "include it in the .cpp")

    def test_a_third_party_header_has_one_folder(self):
        self.found(self.source("pvip/a.cpp", "#include <caf/actor.hpp>\n"), "belongs to actors")
        self.found(self.source("drivers/a.cpp", "#include <libvirt/libvirt.h>\n"),
                   "belongs to drivers/libvirt")

    def test_a_third_party_header_stays_out_of_headers(self):
        self.found(self.header("projections/a.hpp", "<rocksdb/db.h>"), "include it in the .cpp")

    def test_an_unknown_third_party_header_needs_an_owner(self):
        self.found(self.source("actors/a.cpp", "#include <acme/rocket.hpp>\n"), "has no owner")

    def test_test_frameworks_stay_in_tests(self):
        self.found(self.source("actors/a.cpp", "#include <gtest/gtest.h>\n"), "outside tests/")

    def test_pure_code_knows_no_system_and_no_threads(self):
        self.found(self.header("events/core/a.hpp", "<thread>"), "<thread> in pure code")
        self.found(self.header("pvip/plan/a.hpp", "<sys/socket.h>"), "<sys/socket.h> in pure code")
        self.found(self.header("events/log/owner.hpp", "<mutex>"), "<mutex> in pure code")

    def test_pure_code_does_not_read_the_clock(self):
        text = '#include "events/core/id.hpp"\nauto x = std::chrono::system_clock::now();\n'
        self.found({"events/core/id.cpp": text}, "pure code is told the time")

    def test_long_lines_and_tabs(self):
        self.found({"events/core/id.hpp": HEADER + "// " + "x" * 98 + "\n"}, "101 columns")
        wide = HEADER + "// " + "é" * 97 + "\n"
        self.assertEqual(self.findings({"events/core/id.hpp": wide}), [])
        self.found({"events/core/id.hpp": HEADER + "\tint x;\n"}, "id.hpp:4: a tab")

    def test_a_header_begins_with_pragma_once(self):
        self.found({"events/core/id.hpp": "namespace orrery {}\n"}, "#pragma once")

    def test_using_namespace_in_a_header(self):
        self.found({"events/core/id.hpp": HEADER + "using namespace std;\n"}, "using namespace")

    def test_own_header_comes_first(self):
        self.found({"events/core/id.cpp": '#include <string>\n\n#include "events/core/id.hpp"\n'},
                   "first include")

    def test_a_source_that_no_list_names(self):
        self.found({"events/core/time.cpp": "\n"}, "events/core/time.cpp:1: no CMakeLists.txt")
        self.found({"events/core/id2.cpp": "\n", "events/CMakeLists.txt": "# core/id2.cpp\n"},
                   "id2.cpp:1: no CMakeLists.txt")
        self.assertEqual(self.findings({"events/core/id2.cpp": "\n",
                                        "events/CMakeLists.txt": "f(core/id2.cpp)\n"}), [])
        self.assertEqual(self.findings({
            "tests/a/x_fuzz.cpp": "\n", "tests/support/b.cpp": "\n", "tests/a/CMakeLists.txt":
            "f(${name}_fuzz.cpp ${PROJECT_SOURCE_DIR}/tests/support/b.cpp)\n"}), [])
        self.found({"tests/a/x_fuzzy.cpp": "\n", "tests/a/CMakeLists.txt": "f(${n}_fuzz.cpp)\n"},
                   "x_fuzzy.cpp:1: no CMakeLists.txt")

    def test_a_glob_in_a_list(self):
        self.found({"events/CMakeLists.txt": "file(GLOB x *.cpp)\n"}, "a glob")

    def test_words(self):
        self.found({"docs/x.md": "TO" "DO later\n"}, "bare to-do")
        self.assertEqual(self.findings({"docs/x.md": "TO" "DO(#12): later\n"}), [])
        self.found({"docs/x.md": "FI" "XME\n"}, "name the issue")
        self.found({"docs/x.md": "in /wo" "rk/main\n"}, "somebody's machine")
        self.assertEqual(self.findings({"docs/x.md": "see ../work/x and AI_PASSIVE\n"}), [])
        self.found({"docs/x.md": "made by an A" "I\n"}, "who typed it")

    def test_banned_code(self):
        self.found(self.source("actors/a.cpp", "auto x = std::" "views::all(y);\n"), "clang 14")
        self.found(self.source("actors/a.cpp", "auto x = [" "=] { return y; };\n"),
                   "capture by name")
        self.found(self.source("tests/actors/a.cpp", "std::this_thread::sleep" "_for(1s);\n"),
                   "wait for a condition")
        wait = self.header("tests/support/wait.hpp", "<thread>")
        wait["tests/support/wait.hpp"] += "inline void f() { std::this_thread::sleep" "_for(1); }\n"
        self.assertEqual(self.findings(wait), [])
        self.assertEqual(self.findings(self.source("actors/a.cpp", "// [=] in a comment\n")), [])

    def test_documents_that_are_missing_or_long(self):
        self.found({"pvip/README.md": None, "pvip/x.hpp": HEADER}, "pvip/README.md:1: is missing")
        self.found({"pvip/README.md": lines(41, "x\n")}, "more than 40 lines")
        self.found({"docs/architecture.md": lines(301, "x\n")}, "more than 300 lines")

    def test_the_top_level(self):
        self.found({"misc/x.md": "x\n"}, "misc:1: not a folder of the design")
        self.found({"cmake/x.cmake": None}, "cmake:1: a folder of the design is missing")
        self.found({"notes.md": "x\n"}, "notes.md:1: not a file of the top level")
        self.found({"LICENSE": None}, "LICENSE:1: is missing")

    def test_a_header_that_does_not_stand_alone(self):
        self.found({"events/core/a.hpp": "#pragma once\n\ninline std::string x;\n"},
                   "events/core/a.hpp:1: does not stand alone", build=True)

    # --- lengths of functions

    def bodies(self, code):
        return tidy.function_bodies(tidy.blank(code))

    def test_a_function_of_70_lines_is_right_and_one_more_is_not(self):
        body = '#include "events/core/id.hpp"\n\nvoid f() {\n' + "{}" + "}}\n"
        right = body.replace("{}", lines(68))[:-2] + "\n"
        self.assertEqual(self.findings({"events/core/id.cpp": right}), [])
        self.found({"events/core/id.cpp": body.replace("{}", lines(69))[:-2] + "\n"},
                   "id.cpp:3: a function of 71 lines")

    def test_functions_of_every_shape_are_seen(self):
        for head in ("void f()", "auto f(int x = 3) -> std::map<int, int>",
                     "int s::f() const noexcept",
                     "bool operator==(const s& a, const s& b)", "TEST(topic, sentence)",
                     "template <class T = int> requires(sizeof(T) == 4) T f(T t)",
                     "s::s(int a) : x_a{a}, x_b(a), x_c{std::vector<int>{a}}", "s::~s()",
                     "struct s f()", "int operator()(int x) const", "[[nodiscard]] result<T> f()",
                     "template <typename T> requires requires(T t) { t.x(); } void f(T t)"):
            self.assertEqual(self.bodies(head + " {\n" + lines(3) + "}\n"), [(1, 5)], head)

    def test_what_is_no_function_is_not_measured(self):
        for text in ("struct s {\n  int a;\n};\n", "enum class e : int {\n  a,\n};\n",
                     "namespace a::b {\n}\n", "constexpr std::array<row, 3> t = {{\n  {1},\n}};\n",
                     "template <class T> concept c = requires(T t) {\n  t.x();\n};\n",
                     'extern "C" {\n}\n', "class alignas(64) s final : public t<int> {\n};\n",
                     "int x{\n  3};\n", "#define M(x) \\\n  do { \\\n  } while (x)\n"):
            self.assertEqual(self.bodies(text), [], text)

    def test_functions_in_classes_and_namespaces_are_seen(self):
        code = ("namespace a {\nclass b : public c {\npublic:\n"
                "  int f() const {\n    return 1;\n  }\n"
                "  int x_a = 0;\n};\nvoid g() {}\n}\n")
        self.assertEqual(self.bodies(code), [(4, 3), (9, 1)])

    def test_braces_in_strings_comments_and_numbers_do_not_count(self):
        code = ("void f() {\n  g(\"{\", '{', R\"x({)x\");  // {\n  h(1'000'000); /* { */\n}\n"
                "void i() {\n}\n")
        self.assertEqual(self.bodies(code), [(1, 4), (5, 2)])


if __name__ == "__main__":
    unittest.main()
