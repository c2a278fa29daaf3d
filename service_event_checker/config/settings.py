"""The environment as typed settings, read once at the start; nothing below reads the process' environment itself."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from service_event_checker.config import environment, secret_files
from service_event_checker.config.api_tokens import SECRET_MIN, read_tokens
from service_event_checker.config.fields import is_address
from service_event_checker.config.load import ConfigError

Value = TypeVar("Value")

DEFAULT_DATABASE = "sqlite:///instance/outage_checker.db"
DEFAULT_RETENTION_DAYS = 400
DEFAULT_PORT = 8000
WEBHOOK_TOKEN = "WEBHOOK_TOKEN"  # noqa: S105  # the name of a variable
#: where people name the authorities that they trust; the first that is set wins, as with requests and curl
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_CONFIG_FILES = ("config.json", "config.yaml", "config.yml")
_PROXY, _NO_PROXY = "OUTBOUND_PROXY", "OUTBOUND_NO_PROXY"
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the product as a whole takes from the environment; secrets are left out of its repr.

    `storage_account`: Azure Storage's connection string; where it is set, it wins over `database_url`. `webhook_tokens`
    maps WEBHOOK_TOKEN and its variants to their values. `ca_file`: certificates to trust, "" for the usual ones.
    `outbound_proxy`: http://[user:pass@]host:port, through which HTTP goes out; "" for none.
    `outbound_no_proxy`: hosts, with all below them, and networks that are asked past it.
    `port` and `processes`: where and with how many workers Gunicorn serves. `trusted_proxies`: whose
    X-Forwarded-For names the caller. `broker_url`: Redis, where jobs run on Celery workers; "" for none.
    `heartbeat_url`: asked each minute while all loops run; "" for none. Its path may be a secret.
    `templates_dir`: the templates that users write, None for none.
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
    port: int
    processes: int
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    broker_url: str = field(repr=False)
    heartbeat_url: str = field(repr=False)
    templates_dir: Path | None
    variables: Mapping[str, str] = field(repr=False)

    @property
    def store_kind(self) -> str:
        """What the data lie in, like "sqlite"."""
        return "azure tables" if self.storage_account else self.database_url.partition(":")[0].partition("+")[0]

    @classmethod
    def read(cls, environ: Mapping[str, str], known: Callable[[], frozenset[str]] | None = None) -> Settings:
        """Read the environment. Raises ConfigError with every mistake found. `known`: see `secret_files.read`."""
        environ, problems = secret_files.read(environ, known)
        problems += environment.problems(environ)

        def text(*names: str, default: str = "") -> str:
            return next((value for name in names if (value := environ.get(name, "").strip())), default)

        webhook_tokens = {
            name: value.strip()
            for name, value in environ.items()
            if (name == WEBHOOK_TOKEN or name.startswith(WEBHOOK_TOKEN + "_")) and value.strip()
        }
        for name, secret in {**webhook_tokens, "SECRET_KEY": text("SECRET_KEY")}.items():
            _read(demand_length, name, secret, problems=problems, default=None)
        _read(read_tokens, text("API_TOKENS"), problems=problems, default=None)
        days = ("RETENTION_DAYS", text("RETENTION_DAYS"), DEFAULT_RETENTION_DAYS, 1, 36_500)
        found = cls(
            config_file=_read(config_file, environ, problems=problems, default=Path(_CONFIG_FILES[0])),
            database_url=text("DATABASE_URL", default=DEFAULT_DATABASE),
            storage_account=text("AZURE_STORAGE_CONNECTION_STRING"),
            active_table=text("AZURE_TABLE_NAME", "EVENT_TABLE_NAME", default="EventTickets"),
            resolved_table=text("RESOLVED_EVENTS_TABLE", default="ResolvedEvents"),
            retention=timedelta(days=_read(_number, *days, problems=problems, default=DEFAULT_RETENTION_DAYS)),
            public_url=_read(_public, text("PUBLIC_URL"), problems=problems, default=""),
            secret_key=text("SECRET_KEY"),
            api_tokens=text("API_TOKENS"),
            webhook_tokens=webhook_tokens,
            ca_file=text(*_CA_VARIABLES),
            outbound_proxy=_read(_proxy, text(_PROXY), problems=problems, default=""),
            outbound_no_proxy=_read(_no_proxy, text(_NO_PROXY), problems=problems, default=()),
            port=_read(_number, "PORT", text("PORT"), DEFAULT_PORT, 0, 65_535, problems=problems, default=DEFAULT_PORT),
            processes=_read(
                _number, "WEB_CONCURRENCY", text("WEB_CONCURRENCY"), 1, 1, 64, problems=problems, default=1
            ),
            trusted_proxies=_read(_networks, text("TRUSTED_PROXIES"), problems=problems, default=()),
            broker_url=_read(_broker, text("CELERY_BROKER_URL"), problems=problems, default=""),
            heartbeat_url=_read(_pinged, text("HEARTBEAT_URL"), problems=problems, default=""),
            templates_dir=Path(templates) if (templates := text("TEMPLATES_DIR")) else None,
            variables=environ,
        )
        if problems:
            raise ConfigError("environment", problems)
        return found


def config_file(environ: Mapping[str, str]) -> Path:
    """Return the file that CONFIG_FILE names, else the one that is in the working folder. Raises ConfigError."""
    if named := environ.get("CONFIG_FILE", "").strip():
        return Path(named)
    here = [name for name in _CONFIG_FILES if Path(name).is_file()]
    if len(here) > 1:
        hint = f"Set CONFIG_FILE to the one that counts, like CONFIG_FILE={here[-1]}, or remove the other"
        raise ConfigError("environment", [f"CONFIG_FILE: is not set, and {' and '.join(here)} are both here. {hint}"])
    return Path(here[0] if here else _CONFIG_FILES[0])


def _read(read: Callable[..., Value], *arguments: object, problems: list[str], default: Value) -> Value:
    """Return what `read` makes of the arguments; if it raises ConfigError, keep its problems and return `default`."""
    try:
        return read(*arguments)
    except ConfigError as error:
        problems.extend(error.problems)
        return default


def demand_length(variable: str, secret: str) -> None:
    """Raise ConfigError for a secret of our own choice that is set and short; the message does not hold it."""
    if secret and len(secret) < SECRET_MIN:
        raise ConfigError(
            "environment",
            [f"{variable}: has {len(secret)} characters, at least {SECRET_MIN} are needed. Try: openssl rand -hex 24"],
        )


def _number(name: str, text: str, default: int, least: int, most: int) -> int:
    """Return a whole number of the environment. Raises ConfigError."""
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise ConfigError(
            "environment", [f"{name}: is not a whole number from {least} to {most}. Set it like {name}={default}"]
        )
    return int(text)


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of a list with commas, semicolons or spaces between. Raises ConfigError."""
    try:
        return tuple(ip_network(word, strict=False) for word in text.replace(",", " ").replace(";", " ").split())
    except ValueError as error:
        hint = "Give addresses or networks, like 10.0.0.0/8, 192.0.2.7"
        raise ConfigError("environment", [f"TRUSTED_PROXIES: {error}. {hint}"]) from None


def _broker(url: str) -> str:
    """Return the address of Redis, "" for none. It is never part of a message: it may hold a password."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if url and not usable:
        hint = "Write it like redis://redis.example.com:6379/0, with TLS rediss://"
        raise ConfigError("environment", [f"CELERY_BROKER_URL: is not the address of a Redis server. {hint}"])
    return url


def _public(url: str) -> str:
    """Return the address of the page, "" for none. Raises ConfigError."""
    if url and not is_address(url):
        raise ConfigError(
            "environment", ["PUBLIC_URL: is not a web address. Write it like https://outages.example.com"]
        )
    return url.rstrip("/")


def _pinged(url: str) -> str:
    """Return the address to ask each minute, "" for none. It is never part of a message: it may hold a secret."""
    if url and not is_address(url):
        hint = "Write it like https://hc-ping.com/<uuid>"
        raise ConfigError("environment", [f"HEARTBEAT_URL: is not a web address. {hint}"])
    return url


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
