"""A real sshd on loopback with one key, which is bound to a forced command, as docs/actions.md says."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.real.parts import SSHD
from tests.real.server import Server

#: as in docs/actions.md; `systemctl` is the double beside it
FORCED = """#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
  "systemctl restart -- nginx" | "systemctl restart -- redis") exec {systemctl} ${{SSH_ORIGINAL_COMMAND#systemctl }} ;;
  *) echo "refused: $SSH_ORIGINAL_COMMAND"; exit 13 ;;
esac
"""
SYSTEMCTL = '#!/bin/sh\necho "$@" >> {log}\necho "restarted by $(id -un)"\nexit {code}\n'


class Sshd(Server):
    """`calls`: what its systemctl was asked for; `identity`, `known_hosts`: what a client needs."""

    def __init__(self, folder: Path, user: str) -> None:
        super().__init__(folder)
        self.user = user
        self.identity, self.known_hosts = folder / "id", folder / "known_hosts"
        self._calls = folder / "calls"
        folder.chmod(0o755)
        self._calls.touch(0o666)
        self._calls.chmod(0o666)
        _key(folder / "host_key")
        _key(self.identity)
        self.answer(0)
        forced = _program(folder / "forced.sh", FORCED.format(systemctl=folder / "systemctl"))
        public = self.identity.with_suffix(".pub").read_text()
        (folder / "authorized_keys").write_text(f'restrict,command="{forced}" {public}')
        with suppress(OSError):
            Path("/run/sshd").mkdir(exist_ok=True)  # Debian's sshd wants it where root runs it

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()

    def answer(self, code: int) -> None:
        _program(self.folder / "systemctl", SYSTEMCTL.format(log=self._calls, code=code))

    def command(self) -> list[str]:
        host_key = (self.folder / "host_key.pub").read_text().rpartition(" ")[0]
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host_key}\n")
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.folder / "host_key",
            "PidFile": self.folder / "sshd.pid",
            "AuthorizedKeysFile": self.folder / "authorized_keys",
            "PermitRootLogin": "forced-commands-only",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "UsePAM": "no",
            "StrictModes": "no",
            "AllowUsers": self.user,
        }
        file = self.folder / "sshd_config"
        file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        return [str(SSHD.find()), "-D", "-e", "-f", str(file)]


def _key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, env=dict(os.environ))


def _program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path
