"""Chooses the store that the environment names; imports only that one. Connects to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from service_event_checker.config.load import ConfigError
from service_event_checker.core.store import Store
from service_event_checker.stores.sql.mounts import refuses_network_mount

DEFAULT_DATABASE = "sqlite:///instance/outage_checker.db"
MOUNTS = Path("/proc/mounts")
AZURE_STORE = "AZURE_STORAGE_CONNECTION_STRING"


def make_store(environ: Mapping[str, str]) -> Store:
    """Return the store that the environment names. Raises ConfigError."""
    azure = environ.get(AZURE_STORE)
    if azure:
        from service_event_checker.stores.azure.store import AzureTablesStore

        active = environ.get("AZURE_TABLE_NAME") or environ.get("EVENT_TABLE_NAME") or "EventTickets"
        resolved = environ.get("RESOLVED_EVENTS_TABLE") or "ResolvedEvents"
        return AzureTablesStore(azure, active_table=active, resolved_table=resolved)
    url = environ.get("DATABASE_URL") or DEFAULT_DATABASE
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
