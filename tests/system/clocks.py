"""Clocks that tests set wrong, by libfaketime. Standard library only."""

import glob


def library(name):
    found = glob.glob(f"/usr/lib/*/faketime/{name}")
    assert found, "libfaketime is not installed"
    return found[0]


def preloaded():
    """The C and C++ libraries stand before jemalloc, which asks for the time while it starts and
    would then wait for itself."""
    return {"LD_PRELOAD": library("libfaketimeMT.so.1") + " libstdc++.so.6 libc.so.6",
            "DONT_FAKE_MONOTONIC": "1"}


def moved_clock(moved):
    """The environment in which a process sees the time of the file `moved`, which may change."""
    return {**preloaded(), "FAKETIME_TIMESTAMP_FILE": str(moved), "FAKETIME_NO_CACHE": "1"}


def wrong_clock(by):
    """The environment in which a process's clock is wrong by "+1h" or the like from its start on;
    cheap enough for a Java program."""
    return {**preloaded(), "FAKETIME": by}
