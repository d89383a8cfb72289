"""tools/dev/docs_check.py finds dead links and transcripts that come out otherwise."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools" / "dev"))
import docs_check  # noqa: E402


class docs_check_test(unittest.TestCase):
    def judged(self, text):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a.md").write_text(text, encoding="utf-8")
            Path(folder, "b.md").write_text("# One `thing`, two\n", encoding="utf-8")
            return [*docs_check.broken_links(Path(folder), "a.md"),
                    *docs_check.wrong_transcripts(Path(folder), "a.md")]

    def test_a_link_to_nothing_is_found_with_its_line(self):
        self.assertEqual(self.judged("x\n[c](c.md)\n"), ["a.md:2: c.md is not there"])

    def test_a_link_to_no_heading_is_found(self):
        self.assertEqual(self.judged("[b](b.md#two)\n"), ["a.md:1: b.md#two names no heading"])

    def test_links_that_lead_somewhere_are_right(self):
        text = "# Top\n[b](b.md#one-thing-two) [t](#top) [w](https://x.y)\n"
        self.assertEqual(self.judged(text), [])

    def test_links_in_code_are_no_links(self):
        self.assertEqual(self.judged("`[x](y.md)`\n```\n[x](y.md)\n```\n"), [])

    def test_a_transcript_that_comes_out_otherwise_is_found(self):
        found = self.judged("```console checked\n$ echo a\nb\n```\n")
        self.assertEqual(len(found), 1)
        self.assertIn("`echo a` prints otherwise:\na", found[0])

    def test_a_transcript_with_too_little_or_too_much_is_found(self):
        self.assertEqual(len(self.judged("```console checked\n$ printf 'a\\nb\\n'\na\n```\n")), 1)
        self.assertEqual(len(self.judged("```console checked\n$ true\na\n```\n")), 1)
        self.assertEqual(len(self.judged("```console checked\n$ echo a\n```\n")), 1)

    def test_dots_stand_for_anything(self):
        text = ("```console checked\n$ printf 'a 1 b\\nc\\nd\\n'\na … b\n…\nd\n"
                "$ echo x\nx\n```\n")
        self.assertEqual(self.judged(text), [])

    def test_other_blocks_are_not_run(self):
        self.assertEqual(self.judged("```console\n$ exit 1\nnothing\n```\n"), [])


if __name__ == "__main__":
    unittest.main()
