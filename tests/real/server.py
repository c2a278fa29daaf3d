"""A real server for tests: own port, own folder, own process group, and the ways in which it can fail.

`kill`, `pause` and `resume` are what a crash, a frozen machine and its return look like from outside. The port
stays the same over a restart, so that clients find it again.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import IO

START_SECONDS = 90.0  # where others keep the machine busy, Redmine takes 20
STOP_SECONDS = 20.0  # where others keep the machine busy; shorter than any double hangs
#: a free port may be taken by another program before the server binds it
ATTEMPTS = 3
#: below those that Linux and macOS give to clients: while a server is down, no other test's connection takes its port
PORTS = range(20_000, 32_000)
#: not the common one, which hypothesis seeds: two processes would then choose the same
_CHANCE = random.SystemRandom()


class NotStarted(Exception):
    """The server did not come up; the text holds the end of its log."""


class Server:
    """Base of a server on loopback. A subclass gives the command; `folder` is its own and may be empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self.port = 0
        self.forced = False  # whether `stop` had to end it by force
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that was started, of which all others of this server descend; it must be running."""
        assert self._process is not None
        return self._process.pid

    def command(self) -> list[str]:
        """Return the command that serves on `self.port` and stays in the foreground."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self) -> None:
        """Start it and wait until it answers; the first time on a free port, then always on that one."""
        for attempt in range(1, ATTEMPTS + 1):
            chosen_now = self.port == 0
            self.port = self.port or free_port()
            try:
                self._start()
            except NotStarted:
                if not chosen_now or attempt == ATTEMPTS:
                    raise
                self.port = 0
            else:
                return

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        """End it as Ctrl-C does, so that it may write down what it holds; by force when it does not end."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(by)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.forced = True
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a crash does: nothing is written down."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(STOP_SECONDS)
        self._process = None

    def pause(self) -> None:
        """Freeze it: it takes connections and answers none."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = self._spawn(log)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise self._not_started()
            time.sleep(0.02)
        # Something answers; if ours is dead by now, it was a stranger on the same port.
        if self._process.poll() is not None:
            raise self._not_started()

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own: Ctrl-C in pytest is not for it, and kill takes its children
        )

    def _not_started(self) -> NotStarted:
        self.kill()
        return NotStarted(f"{type(self).__name__} on port {self.port}: {self.log.read_text()[-2000:]}")

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def free_port() -> int:
    """Return a port that nobody listens on at this moment, and that hardly another process is given too."""
    while True:
        port = _CHANCE.choice(PORTS)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
