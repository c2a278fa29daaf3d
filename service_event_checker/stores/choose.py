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
    url = settings.database_url
    if not url.startswith("sqlite:"):
        raise ConfigError(
            "environment", ["DATABASE_URL: this version knows sqlite:///path only. Unset it or name a file"]
        )
    network = _network_mount(url.removeprefix("sqlite:///"))
    if network:
        raise ConfigError("environment", [f"DATABASE_URL: {network}"])
    from service_event_checker.stores.sql.store import SqlStore

    return SqlStore(url)


def _network_mount(path: str) -> str:
    """Return why a database must not lie at a path, "" if it may; where the system tells no mounts, it may."""
    try:
        return refuses_network_mount(str(Path(path).resolve()), MOUNTS.read_text(errors="replace"))
    except OSError:
        return ""
