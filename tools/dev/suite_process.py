"""Runs one command of a suite in a session of its own, and leaves nothing behind.

The runner is a "child subreaper": a daemon that a test starts and forgets (setsid, double fork) is
handed to the runner and not to init. So what a suite left running is exactly what still descends
from the runner, and only that is ended: nothing is ever looked up by name.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
HEARTBEAT_S = 60  # a CI log that is silent for minutes looks like a hang
TERM_GRACE_S = 5  # what a daemon may take to end on SIGTERM before it gets SIGKILL


def become_subreaper():
    """Makes orphans of our descendants our children, where otherwise they become init's."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _parents():
    """{pid: (parent, name)} of every process that is alive (zombies are not)."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue  # it ended while we looked
        name = text[text.index("(") + 1 : text.rindex(")")]
        state, parent = text[text.rindex(")") + 2 :].split()[:2]
        if state != "Z":
            found[int(entry)] = (int(parent), name)
    return found


def descendants():
    """[(pid, name)] of every living process below this one."""
    parents = _parents()
    found = []
    for pid, (_, name) in sorted(parents.items()):
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above][0]
        if above == os.getpid() and pid != above:
            found.append((pid, name))
    return found


def _reap():
    """Collects ended orphans, so that they do not stay as zombies."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def end_leftovers():
    """Ends every process below this one; returns their names."""
    names = sorted({name for _, name in descendants()})
    for number in (signal.SIGTERM, signal.SIGKILL):
        give_up = time.monotonic() + TERM_GRACE_S
        for pid, _ in descendants():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        while descendants() and time.monotonic() < give_up:
            _reap()
            time.sleep(0.05)
    _reap()
    return names


class outcome:
    """How a command ended: exit status (None: the limit passed), its output, names of leftovers."""

    def __init__(self, status, output, leftovers):
        self.status = status
        self.output = output
        self.leftovers = leftovers


def _follow(stream, log, lines, label):
    """Copies the output to the log and, on a terminal, shows its last line in place."""
    show = sys.stdout.isatty()
    for raw in iter(stream.readline, b""):
        line = raw.decode("utf-8", errors="replace")
        log.write(line)
        log.flush()
        lines.append(line)
        if show:
            print(f"\r\033[K{label}: {line.strip()[:90]}", end="", flush=True)
    if show:
        print("\r\033[K", end="", flush=True)


def run(command, log_path, label, limit_s, cwd, env=None):
    """Runs `command`, appending all it prints to `log_path`; blocks until it ended or `limit_s`."""
    try:
        return _run(command, log_path, label, limit_s, cwd, env)
    except BaseException:  # we are told to end: not without what we started
        end_leftovers()
        raise


def _run(command, log_path, label, limit_s, cwd, env):
    lines = []
    started = time.monotonic()
    with open(log_path, "a", encoding="utf-8") as log:
        log.write("$ " + " ".join(command) + "\n")
        log.flush()
        try:
            child = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     start_new_session=True)
        except OSError as failure:
            log.write(f"{failure}\n")
            return outcome(127, f"{failure}\n", [])
        reader = threading.Thread(target=_follow, args=(child.stdout, log, lines, label),
                                  daemon=True)
        reader.start()
        try:
            status = _wait(child, lines, label, started, limit_s)
        finally:
            leftovers = end_leftovers()
            reader.join(TERM_GRACE_S)
        if status is None:
            log.write(f"\nended: more than {limit_s:.0f} s\n")
    return outcome(status, "".join(lines), leftovers)


def _wait(child, lines, label, started, limit_s):
    """The child's exit status, or None when the limit passed; says now and then that it lives."""
    next_word = started + HEARTBEAT_S
    while True:
        try:
            return child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        if now - started > limit_s:
            return None
        if now >= next_word and not sys.stdout.isatty():
            next_word = now + HEARTBEAT_S
            last = lines[-1].strip()[:70] if lines else ""
            print(f"  … {label} {now - started:.0f} s: {last}", flush=True)
