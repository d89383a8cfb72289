"""What a test promises: a line for each on standard output, and a table of them in a document,
which is written with `--write-table` and judged without. Standard library only.
"""

import pathlib
import re
import sys


class Promises:
    def __init__(self, document, mark):
        """The table stands between "<!-- MARK -->" and "<!-- end of MARK -->"."""
        self.document = pathlib.Path(document)
        self.table = re.compile(rf"(?<=<!-- {mark} -->\n).*?(?=<!-- end of {mark} -->)", re.DOTALL)
        self.shown = {}

    def show(self, name, figure):
        self.shown[name] = figure
        print(f"PROMISE {name} pass {figure}", flush=True)

    def rows(self):
        return "| promise | shown |\n|---|---|\n" + "".join(
            f"| `{name}` | {figure} |\n" for name, figure in self.shown.items())

    def judge_the_document(self):
        text = self.document.read_text(encoding="utf-8")
        if "--write-table" in sys.argv:
            written = self.table.sub(lambda _: self.rows(), text)
            self.document.write_text(written, encoding="utf-8")
        else:
            assert self.table.search(text).group() == self.rows(), "write it: --write-table"
