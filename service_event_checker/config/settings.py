"""The environment as typed settings, read once at the start; nothing below reads the process' environment itself."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from service_event_checker.config.load import ConfigError

DEFAULT_DATABASE = "sqlite:///instance/outage_checker.db"
DEFAULT_RETENTION_DAYS = 400
WEBHOOK_TOKEN = "WEBHOOK_TOKEN"  # noqa: S105  # the name of a variable
#: where people name the authorities that they trust; the first that is set wins, as with requests and curl
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PROXY, _NO_PROXY = "OUTBOUND_PROXY", "OUTBOUND_NO_PROXY"
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the product as a whole takes from the environment; secrets are left out of its repr.

    `storage_account`: Azure Storage's connection string; where it is set, it wins over `database_url`. `webhook_tokens`
    maps WEBHOOK_TOKEN and its variants to their values. `ca_file`: certificates to trust, "" for the usual ones.
    `outbound_proxy`: http://[user:pass@]host:port, through which HTTP goes out; "" for none.
    `outbound_no_proxy`: hosts, with all below them, and networks that are asked past it.
    `variables` is all of the environment: config.json names variables freely, and one vendor's routes have their own.
    """

    config_file: Path
    database_url: str = field(repr=False)
    storage_account: str = field(repr=False)
    active_table: str
    resolved_table: str
    retention: timedelta
    public_url: str
    secret_key: str = field(repr=False)
    api_tokens: str = field(repr=False)
    webhook_tokens: Mapping[str, str] = field(repr=False)
    ca_file: str
    outbound_proxy: str = field(repr=False)
    outbound_no_proxy: tuple[str, ...]
    variables: Mapping[str, str] = field(repr=False)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Read the environment. Raises ConfigError."""

        def text(*names: str, default: str = "") -> str:
            return next((value for name in names if (value := environ.get(name, "").strip())), default)

        return cls(
            config_file=Path(text("CONFIG_FILE", default="config.json")),
            database_url=text("DATABASE_URL", default=DEFAULT_DATABASE),
            storage_account=text("AZURE_STORAGE_CONNECTION_STRING"),
            active_table=text("AZURE_TABLE_NAME", "EVENT_TABLE_NAME", default="EventTickets"),
            resolved_table=text("RESOLVED_EVENTS_TABLE", default="ResolvedEvents"),
            retention=timedelta(days=_days(text("RETENTION_DAYS"))),
            public_url=text("PUBLIC_URL").rstrip("/"),
            secret_key=text("SECRET_KEY"),
            api_tokens=text("API_TOKENS"),
            webhook_tokens={
                name: value.strip()
                for name, value in environ.items()
                if (name == WEBHOOK_TOKEN or name.startswith(WEBHOOK_TOKEN + "_")) and value.strip()
            },
            ca_file=text(*_CA_VARIABLES),
            outbound_proxy=_proxy(text(_PROXY)),
            outbound_no_proxy=_no_proxy(text(_NO_PROXY)),
            variables=environ,
        )


def _days(text: str) -> int:
    if text and not text.isdecimal():
        raise ConfigError(
            "environment", [f"RETENTION_DAYS: is not a whole number. Give days, like {DEFAULT_RETENTION_DAYS}"]
        )
    return int(text or DEFAULT_RETENTION_DAYS)


def _proxy(url: str) -> str:
    """Return the address of a proxy, "" for none. What it holds is never part of a message: it may be a password."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "http" and bool(parts.hostname) and bool(parts.port)
    except ValueError:
        usable = False
    if url and (not usable or parts.path.strip("/") or parts.query or parts.fragment):
        raise ConfigError(
            "environment",
            [
                f"{_PROXY}: is not the address of an HTTP proxy. Write it like http://proxy.example.com:3128 or "
                "http://user:password@proxy.example.com:3128, with special characters percent-encoded"
            ],
        )
    return url.rstrip("/")


def _no_proxy(text: str) -> tuple[str, ...]:
    entries = tuple(each.strip().lower().removeprefix("*").strip(".") for each in text.split(",") if each.strip())
    wrong = [each for each in entries if not _is_host_or_network(each)]
    if wrong:
        hint = "Write hosts, domains or networks, like intranet.example.com,10.0.0.0/8, without ports"
        raise ConfigError("environment", [f"{_NO_PROXY}: {wrong[0]!r} is not a host or a network. {hint}"])
    return entries


def _is_host_or_network(entry: str) -> bool:
    if "/" not in entry and ":" not in entry:
        return _HOST.fullmatch(entry) is not None
    try:
        return bool(ipaddress.ip_network(entry, strict=False))
    except ValueError:
        return False
