"""Runs a program of a fixed argument list: no shell, an environment of its own, limits, a time-out for all it starts.

The limits are set between fork and exec by a small program: code that runs there in a process with threads may hang.
"""

from __future__ import annotations

import json
import os
import pwd
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from service_event_checker import logs
from service_event_checker.core.actions import Ended, State
from service_event_checker.render.text import clean

OUTPUT_MAX = 8 * 1024  # bytes that are kept, the last ones
KILL_AFTER = 3.0  # seconds between SIGTERM and SIGKILL
EOF_AFTER = 1.0  # seconds in which what a program leaves running may close its output
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOOK_EVERY = 0.05  # seconds
_CHUNK = 65536
#: sets the limits, becomes the user, then the program; argv[1] is {"limits": {"RLIMIT_…": value}, "user": [uid, gid]}
_LAUNCH = """
import json, os, resource, sys
asked = json.loads(sys.argv[1])
try:
    for name, value in asked["limits"].items():
        hard = resource.getrlimit(getattr(resource, name))[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (value, value))
    if asked["user"]:
        os.setgroups([])
        os.setgid(asked["user"][1])
        os.setuid(asked["user"][0])
    os.chdir(asked["cwd"])
    os.execve(sys.argv[2], sys.argv[2:], os.environ)
except OSError as error:
    sys.stderr.write(f"it cannot be started: {error.strerror}")
    sys.exit(127)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`argv[0]` is an absolute path. `seconds`: until the whole process group is killed.

    `limits`: names of the module `resource` -> soft and hard limit. `user`: who it runs as, "" for ourselves.
    """

    argv: Sequence[str]
    seconds: float
    cwd: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    user: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """`code`: as of `subprocess`, negative for a signal; None where it was killed at the time-out."""

    code: int | None
    output: str


def run(command: Command) -> Exit:
    """Run it to its end, or kill all that it has started in its process group. Raises OSError where it cannot start."""
    asked = {"limits": dict(command.limits), "user": ids_of(command.user), "cwd": command.cwd}
    launch = [sys.executable, "-I", "-S", "-c", _LAUNCH, json.dumps(asked)]
    with subprocess.Popen(  # noqa: S603  # a fixed program of the configuration, and no shell
        [*launch, *command.argv],
        cwd="/",
        env={"PATH": PATH, "LANG": "C.UTF-8", **command.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            tail, in_time = _read(process, time.monotonic() + command.seconds)
        finally:
            _end_group(process)
    code = process.returncode if in_time else None
    return Exit(code, clean(logs.masked(tail.decode(errors="replace")), OUTPUT_MAX))


def ended(exit: Exit, *, unknown: Sequence[int | None] = (), seconds: float) -> Ended:
    """Return what an exit means; `unknown`: the codes that do not say whether it had its effect."""
    if exit.code is None:
        why = f"it was killed after {seconds:g} s"
    elif exit.code < 0:
        why = f"it was ended by signal {-exit.code}"
    else:
        why = f"exit code {exit.code}"
    failed = State.UNKNOWN if exit.code in unknown else State.FAILED
    return Ended(state=State.SUCCEEDED if exit.code == 0 else failed, why=why, output=exit.output)


def ids_of(user: str) -> tuple[int, int] | None:
    """Return the ids of a user and of its own group, None for "". Raises KeyError for an unknown user."""
    if not user:
        return None
    found = pwd.getpwnam(user)
    return found.pw_uid, found.pw_gid


def _read(process: subprocess.Popen[bytes], until: float) -> tuple[bytes, bool]:
    """Read the output to its end; return its tail, and whether the program ended in time."""
    tail, ended_at, out = b"", None, process.stdout
    with selectors.DefaultSelector() as ready:
        if out is not None:
            os.set_blocking(out.fileno(), False)
            ready.register(out, selectors.EVENT_READ)
        while (now := time.monotonic()) < until:
            if ended_at is None and _has_ended(process):
                ended_at, until = now, min(until, now + EOF_AFTER)
            for key, _ in ready.select(min(until - now, LOOK_EVERY)):
                chunk = os.read(key.fd, _CHUNK)
                tail = (tail + chunk)[-OUTPUT_MAX:]
                if not chunk:
                    ready.unregister(key.fileobj)
            if not ready.get_map() and ended_at is not None:
                break
    return tail, _has_ended(process)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the program has ended. It is not waited for yet: until then its group's number is nobody else's."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what still runs in the group: first politely, then for good."""
    until = time.monotonic() + KILL_AFTER
    if not _has_ended(process):
        _signal(process.pid, signal.SIGTERM)
        while not _has_ended(process) and time.monotonic() < until:
            time.sleep(0.02)
    _signal(process.pid, signal.SIGKILL)


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
