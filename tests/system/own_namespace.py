"""Namespaces of this program's own, that end with it. Needs root or unprivileged user namespaces.

Standard library only.
"""

import os
import sys


def enter(*kinds):
    """Runs this program again in namespaces of its own (`--net`, `--mount` of unshare(1)); there it
    returns."""
    mark = "ORRERY_OWN_" + "_".join(kinds).replace("-", "")
    if mark not in os.environ:
        os.environ[mark] = "1"
        become_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.execvp("unshare", ["unshare", *become_root, *kinds, "--", sys.executable, *sys.argv])
