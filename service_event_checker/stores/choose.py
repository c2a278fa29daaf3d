"""Chooses the store that the settings name; imports only that one. Connects to nothing."""

from __future__ import annotations

from pathlib import Path

from service_event_checker.config.load import ConfigError
from service_event_checker.config.settings import Settings
from service_event_checker.core.roles import Store
from service_event_checker.stores.sql.mounts import refuses_network_mount

MOUNTS = Path("/proc/mounts")


def make_store(settings: Settings) -> Store:
    """Return the store that the settings name. Raises ConfigError."""
    if settings.storage_account:
        from service_event_checker.stores.azure.store import AzureTablesStore

        try:
            return AzureTablesStore(
                settings.storage_account, active_table=settings.active_table, resolved_table=settings.resolved_table
            )
        except ValueError:  # its text may hold the key
            hint = "Copy it from the storage account: Security + networking, Access keys"
            problem = f"AZURE_STORAGE_CONNECTION_STRING: is not a connection string. {hint}"
            raise ConfigError("environment", [problem]) from None
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


def _network_mount(path: str) -> str:
    """Return why a database must not lie at a path, "" if it may; where the system tells no mounts, it may."""
    try:
        return refuses_network_mount(str(Path(path).resolve()), MOUNTS.read_text(errors="replace"))
    except OSError:
        return ""
