"""Where the project is, and which files are its own (not built, not git's)."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {"build", ".git", ".cache", "__pycache__"}  # as in .gitignore


def files(*suffixes, root=ROOT):
    """Sorted names, relative to the root, of all files; `suffixes`: only of those that have one."""
    found = []
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name not in NOT_OURS]
        for name in names:
            path = Path(folder, name)
            if path.is_file() and (not suffixes or path.suffix in suffixes):
                found.append(path.relative_to(root).as_posix())
    return sorted(found)
