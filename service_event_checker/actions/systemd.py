"""Restarts a unit of systemd on another machine: the system's ssh, a fixed command, hosts that config.json lists.

There, the key is to be bound to a forced command (sshd(8), AUTHORIZED_KEYS): docs/actions.md shows one. ssh ends with
255 where it failed itself (ssh(1), EXIT STATUS): then nobody knows whether the command ran.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from service_event_checker.actions import process
from service_event_checker.actions.process import Command
from service_event_checker.config.actions import ActionConfig, fill
from service_event_checker.core.actions import Ended, State
from service_event_checker.core.errors import InvalidInput

CONNECT_SECONDS = 10
SSH_FAILED = 255
_UNIT = re.compile(r"[A-Za-z0-9@_:][A-Za-z0-9@_.:-]{0,199}")  # of systemd.unit(5); no backslash: a shell reads it there
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,200}[A-Za-z0-9])?")


class Config(ActionConfig):
    """`host`: which of `hosts`; left out: the parameter `server`, else the only one. `user`, `port`, `identity`,
    `known_hosts`: as ssh's -l, -p, -i and UserKnownHostsFile; left out: as the system's ssh has them.
    """

    TEMPLATES: ClassVar[tuple[str, ...]] = ("unit", "host")

    kind: Literal["systemd"]
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    unit: str = "{service_name}"
    host: str = ""
    do: Literal["restart", "start", "stop", "reload"] = "restart"
    user: str = ""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    identity: str = ""
    known_hosts: str = ""

    @model_validator(mode="after")
    def _hosts_are_names(self) -> Self:
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f'hosts: "{host[:60]}" is not a host name')
        if not self.host and "server" not in self.parameters and len(self.hosts) > 1:
            raise ValueError('host: is missing. Declare the parameter "server", or write which of the hosts it is')
        for field in ("user", "identity", "known_hosts"):
            if getattr(self, field).startswith("-"):
                raise ValueError(f"{field}: begins with a dash")
        return self

    def lacks(self) -> str:
        return (
            "" if shutil.which("ssh", path=process.PATH) else "there is no ssh on this machine: install openssh-client"
        )


class Runner:
    """See `core.ports.Action`."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def check(self, parameters: Mapping[str, str]) -> None:
        host, unit = self._target(parameters)
        if host not in self.config.hosts:
            raise InvalidInput(
                "parameters", "name a host that is not listed", f"Listed: {', '.join(self.config.hosts)}"
            )
        if not _UNIT.fullmatch(unit):
            raise InvalidInput("parameters", "name a unit that is not the name of one")

    def describe(self, parameters: Mapping[str, str]) -> str:
        host, unit = self._target(parameters)
        return f"on {host}: systemctl {self.config.do} -- {unit}"

    def run(self, parameters: Mapping[str, str]) -> Ended:
        seconds = self.config.timeout.total_seconds()
        try:
            self.check(parameters)
            exit = process.run(Command(argv=self._argv(parameters), seconds=seconds))
        except (OSError, InvalidInput) as error:
            return Ended(state=State.FAILED, why=f"it was not started: {error}")
        return process.ended(exit, unknown=(None, SSH_FAILED), seconds=seconds)

    def _argv(self, parameters: Mapping[str, str]) -> list[str]:
        config = self.config
        host, unit = self._target(parameters)
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ClearAllForwardings=yes", "ForwardAgent=no"]
        options += [f"ConnectTimeout={CONNECT_SECONDS}", "PermitLocalCommand=no", "ControlPath=none"]
        options += [f"UserKnownHostsFile={config.known_hosts}"] if config.known_hosts else []
        flags = ["-T", "-x", "-a", *(word for option in options for word in ("-o", option))]
        flags += ["-l", config.user] if config.user else []
        flags += ["-p", str(config.port)] if config.port else []
        flags += ["-o", "IdentitiesOnly=yes", "-i", config.identity] if config.identity else []
        ssh = shutil.which("ssh", path=process.PATH) or "/usr/bin/ssh"
        return [ssh, *flags, "--", host, "systemctl", config.do, "--", unit]

    def _target(self, parameters: Mapping[str, str]) -> tuple[str, str]:
        config = self.config
        only = "{server}" if "server" in config.parameters else config.hosts[0]
        return fill(config.host or only, parameters), fill(config.unit, parameters)
