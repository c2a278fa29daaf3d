"""What a server and all its children cost, as /proc tells it: seconds of CPU and bytes of memory. Linux only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
#: places in /proc/PID/stat behind the name: proc(5)
_PARENT, _TIMES = 1, slice(11, 15)


def cpu_seconds(*roots: int) -> float:
    """Return what these processes and their descendants have used, those that have ended since included."""
    stats = _stats()
    # Of those that ended, the parent has the time in cutime and cstime, once it has waited for them.
    return sum(int(ticks) for pid in _family(roots, stats) for ticks in stats[pid][_TIMES]) / TICKS


def pss_bytes(*roots: int) -> int:
    """Return the proportional set size of these processes and their descendants: shared pages count in parts."""
    return sum(_pss(pid) for pid in _family(roots, _stats()))


def _family(roots: tuple[int, ...], stats: dict[int, list[str]]) -> set[int]:
    found = set(roots) & stats.keys()
    while children := {pid for pid, fields in stats.items() if int(fields[_PARENT]) in found} - found:
        found |= children
    return found


def _stats() -> dict[int, list[str]]:
    """Return the fields of each process from its state on: a name may hold spaces and parentheses."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                found[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
    return found


def _pss(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
