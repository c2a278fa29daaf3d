"""Chooses the store that the settings name; imports only that one. Connects to nothing."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from service_event_checker.config.load import ConfigError
from service_event_checker.config.settings import Settings
from service_event_checker.core.roles import Store
from service_event_checker.stores.sql.mounts import refuses_network_mount

_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")
_SECRETS = ("accountkey", "sharedaccesssignature")  # of a connection string
MOUNTS = Path("/proc/mounts")


def make_store(settings: Settings) -> Store:
    """Return the store that the settings name. Raises ConfigError."""
    if settings.storage_account:
        return _azure(settings)
    from service_event_checker.stores.sql.address import database_address
    from service_event_checker.stores.sql.store import SqlStore

    try:
        address = database_address(settings.database_url)
    except ValueError as error:
        raise ConfigError("environment", [f"DATABASE_URL: {error}"]) from None
    network = _network_mount(str(address.database)) if address.get_backend_name() == "sqlite" else ""
    if network:
        raise ConfigError("environment", [f"DATABASE_URL: {network}"])
    return SqlStore(address)


def check(settings: Settings) -> None:
    """Check what the settings say of the store. Raises ConfigError."""
    make_store(settings)  # connects to nothing


def _azure(settings: Settings) -> Store:
    from service_event_checker.stores.azure.store import AzureTablesStore

    tables = (("AZURE_TABLE_NAME", settings.active_table), ("RESOLVED_EVENTS_TABLE", settings.resolved_table))
    problems = [
        f"{variable}: is not a table's name. Use 3 to 63 letters and digits, a letter first"
        for variable, name in tables
        if not _TABLE.fullmatch(name)
    ]
    if settings.active_table.lower() == settings.resolved_table.lower():
        problems.append("RESOLVED_EVENTS_TABLE: is the table of AZURE_TABLE_NAME as well. Give each its own")
    try:
        store = AzureTablesStore(
            settings.storage_account, active_table=settings.active_table, resolved_table=settings.resolved_table
        )
    except ValueError:  # its message may quote the string, which holds the account's key
        problems.append(
            "AZURE_STORAGE_CONNECTION_STRING: is not a connection string. Copy it from the storage account's access "
            "keys: DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net"
        )
    if problems:
        raise ConfigError("environment", problems)
    return store


def store_id(settings: Settings) -> str:
    """Return what names the store, the same in each process that has it and another one for a copy; holds no secret."""
    if settings.storage_account:
        parts = settings.storage_account.split(";")
        public = (part for part in parts if not part.strip().lower().startswith(_SECRETS))
        place = ";".join((*public, settings.active_table, settings.resolved_table))
    else:
        place = _place(settings.database_url)
    return hashlib.sha256(place.encode()).hexdigest()[:20]


def _place(database_url: str) -> str:
    from service_event_checker.stores.sql.address import database_address

    address = database_address(database_url)
    if address.get_backend_name() != "sqlite":
        return address.set(username=None, password=None).render_as_string()
    try:
        found = Path(str(address.database)).stat()
    except OSError:
        return str(address.database)
    return f"{found.st_dev}:{found.st_ino}"


def _network_mount(path: str) -> str:
    """Return why a database must not lie at a path, "" if it may; where the system tells no mounts, it may."""
    try:
        return refuses_network_mount(str(Path(path).resolve()), MOUNTS.read_text(errors="replace"))
    except OSError:
        return ""
