"""Names the process that took a slot, so that another one on this machine can tell at once that it was killed.

Reads /proc (proc(5)); where there is none, only the slot's lease decides.
"""

from __future__ import annotations

import os
import platform
import uuid
from functools import cache
from pathlib import Path

PROC = Path("/proc")
_STATE, _STARTED = 0, 19  # among the fields of /proc/<pid>/stat behind the command's name
_DEAD = frozenset({"Z", "X"})  # a killed process that its parent has not asked for yet


def new_owner() -> str:
    """Return a name for one taken slot: a random mark, then host, boot, process id and start of this process."""
    pid = os.getpid()
    return f"{uuid.uuid4().hex} {_host()} {_kernel()} {pid} {_started(str(pid))}"


def is_gone(owner: str) -> bool:
    """Whether the process that an owner names ran on this machine since its boot and does not any more.

    False where nobody can tell: another machine's, an older version's, no owner at all.
    """
    mark, *fields = owner.split(" ")
    if len(fields) != 4 or not mark:
        return False
    host, kernel, pid, started = fields
    if not (kernel and started and pid.isdecimal()) or (host, kernel) != (_host(), _kernel()):
        return False
    return _started(pid) != started


@cache
def _host() -> str:
    return platform.node().replace(" ", "_")


@cache
def _kernel() -> str:
    """Return the boot and the namespace that process ids count in; containers may share the host's name and boot."""
    try:
        boot_id = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot_id}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: str) -> str:
    """Return when a process started, in clock ticks since the boot; "" where it does not run."""
    try:
        stat = (PROC / pid / "stat").read_text(errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the command's name may hold anything
    return fields[_STARTED] if len(fields) > _STARTED and fields[_STATE] not in _DEAD else ""
