"""Azurite, the emulator of Azure Storage, serving tables only.

More lenient than Azure: it has no limit on the size of an entity and takes longer transactions apart badly. What
our store promises about limits is therefore tested without it.
"""

from __future__ import annotations

import base64
import os
from itertools import count
from pathlib import Path

from tests.real.parts import AZURITE, NODE
from tests.real.server import Server

#: accounts do not see each other's tables; Azurite reads the list at its start and keeps it for good
ACCOUNTS = 1000
#: the emulator checks signatures, so there must be a key; it guards nothing
KEY = base64.b64encode(b"the key of a test account").decode()
_KEEP_ALIVE = Path(__file__).with_name("azurite_keep_alive.js")


class Azurite(Server):
    """Starts empty; with `persistent` a restart after `stop` finds what was there, after `kill` most of it."""

    def __init__(self, folder: Path, *, persistent: bool = False) -> None:
        super().__init__(folder)
        self._persistent = persistent
        self._unused = count(1)

    @property
    def connection_string(self) -> str:
        """The first account, shared by all who ask here."""
        return self._connection_string(0)

    def new_account(self) -> str:
        """Return the connection string of an account that nobody has used yet: it holds no table."""
        number = next(self._unused)
        if number >= ACCOUNTS:
            raise LookupError(f"all {ACCOUNTS} accounts of this Azurite are used")
        return self._connection_string(number)

    def command(self) -> list[str]:
        keeping = ["--location", str(self.folder)] if self._persistent else ["--inMemoryPersistence"]
        # node on the script itself, not the shim that npm makes: so the process that we kill is the server.
        node = [str(NODE.find()), "--require", str(_KEEP_ALIVE)]
        serve = [*node, str(AZURITE.find()), "--tableHost", "127.0.0.1", "--tablePort", str(self.port)]
        return [*serve, "--silent", "--disableTelemetry", *keeping]

    def environment(self) -> dict[str, str]:
        accounts = ";".join(f"{_account(number)}:{KEY}" for number in range(ACCOUNTS))
        return {**os.environ, "AZURITE_ACCOUNTS": accounts}

    def _connection_string(self, number: int) -> str:
        name = _account(number)
        endpoint = f"http://127.0.0.1:{self.port}/{name}"
        return f"DefaultEndpointsProtocol=http;AccountName={name};AccountKey={KEY};TableEndpoint={endpoint};"


def _account(number: int) -> str:
    return f"account{number:04}"
