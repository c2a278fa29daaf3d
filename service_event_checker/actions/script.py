"""Runs a program of this machine that config.json names by its absolute path, with declared parameters."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from service_event_checker.actions import process
from service_event_checker.actions.process import Command
from service_event_checker.config.actions import ActionConfig, fill
from service_event_checker.config.models import secret
from service_event_checker.core.actions import Ended, State

MEGABYTE = 1024 * 1024


class Config(ActionConfig):
    """`args`: each is one argument, whatever a value holds. `memory`: in MB; `files`: open at once.

    `run_as`: the user, where we run as root.
    """

    TEMPLATES: ClassVar[tuple[str, ...]] = ("args",)

    kind: Literal["script"]
    path: str
    args: tuple[str, ...] = ()
    cwd: str = "/"
    environment: dict[str, SecretStr] = {}
    run_as: str = ""
    memory: Annotated[int, Field(ge=16)] = 1024
    files: Annotated[int, Field(ge=16)] = 256

    @model_validator(mode="after")
    def _paths_are_absolute(self) -> Self:
        for field in ("path", "cwd"):
            path = getattr(self, field)
            if not PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or not path.isprintable():
                raise ValueError(f"{field}: is not an absolute path. Write it from / on, without ..")
        return self

    def lacks(self) -> str:
        return not_runnable(self.path) or not_switchable(self.run_as)

    def cautions(self) -> tuple[str, ...]:
        as_root = not self.run_as and os.geteuid() == 0
        more = ('run_as: the script runs as root. Name a user, like "nobody"',) if as_root else ()
        return (*super().cautions(), *more)


class Runner:
    """See `core.ports.Action`."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def check(self, parameters: Mapping[str, str]) -> None:
        return

    def describe(self, parameters: Mapping[str, str]) -> str:
        return " ".join(self._argv(parameters))

    def run(self, parameters: Mapping[str, str]) -> Ended:
        config, seconds = self.config, self.config.timeout.total_seconds()
        if why := config.lacks():
            return Ended(state=State.FAILED, why=f"it was not started: {why}")
        command = Command(
            argv=self._argv(parameters),
            seconds=seconds,
            cwd=config.cwd,
            environment={name: secret(value) for name, value in config.environment.items()},
            limits={
                "RLIMIT_CORE": 0,
                "RLIMIT_CPU": max(1, round(seconds)),
                "RLIMIT_AS": config.memory * MEGABYTE,
                "RLIMIT_NOFILE": config.files,
            },
            user=config.run_as if os.geteuid() == 0 else "",
        )
        try:
            return process.ended(process.run(command), seconds=seconds)
        except (OSError, ValueError, KeyError) as error:
            return Ended(state=State.FAILED, why=f"it was not started: {type(error).__name__}")

    def _argv(self, parameters: Mapping[str, str]) -> list[str]:
        return [self.config.path, *(fill(text, parameters) for text in self.config.args)]


def not_runnable(path: str) -> str:
    """Return why a program is not to be run, "" where it may be: others could have put anything into its file."""
    try:
        found = os.stat(path)
    except OSError:
        return f"{path} cannot be read"
    if not stat.S_ISREG(found.st_mode) or not os.access(path, os.X_OK):
        return f"{path} is not an executable file"
    return f"{path} may be changed by others: chmod go-w it" if found.st_mode & 0o022 else ""


def not_switchable(user: str) -> str:
    """Return why a program cannot run as a user, "" where it can or none is named."""
    if not user:
        return ""
    if os.geteuid() != 0:
        return f"run_as {user} needs root, and this process is not"
    try:
        process.ids_of(user)
    except KeyError:
        return f"run_as {user}: there is no such user"
    return ""
