"""What `outage doctor` checks on this machine: Python, packages, configuration, disk, store, deliveries, the app."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import click

from service_event_checker import logs, wiring
from service_event_checker.cli.backup import database_file
from service_event_checker.cli.context import ROOT, Here
from service_event_checker.cli.running_app import OTHER_PORT
from service_event_checker.cli.tables import when
from service_event_checker.config.load import ConfigError
from service_event_checker.core.errors import StoreError
from service_event_checker.engine import parts
from service_event_checker.engine.heartbeat import last_heartbeat

FREE_MIN = 500 * 1024 * 1024  # bytes; a busy year of alerts takes less
_LOCKED = re.compile(r"^([\w.-]+)(?:\[[\w.,-]+])?==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at and found, and where it is wrong what to do."""

    ok: bool
    what: str
    remedy: str = ""


def environment() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(sys.version_info >= (3, 11), f"Python {version} at {sys.prefix}")
    outdated = _outdated(ROOT / "requirements.txt")
    if outdated:
        yield Finding(False, f"packages: {', '.join(outdated)}", "./run installs what requirements.txt names")
    else:
        yield Finding(True, "packages: as requirements.txt names them")


def configuration(here: Here) -> Iterator[Finding]:
    try:
        settings, found = wiring.examine(here.environ)
    except ConfigError as error:
        for problem in error.problems:
            yield Finding(False, f"configuration: {problem}", "correct it, then ./outage config check")
        return
    yield Finding(True, f"configuration: {settings.config_file} can be used")
    for warning in found.warnings:
        yield Finding(True, f"configuration: warning: {warning}")
    for section, entry in found.entries():
        if entry.why_off:
            yield Finding(True, f"{section} {entry.name}: off, {entry.why_off}")


def is_configured(here: Here) -> bool:
    """Whether the product can be built at all; `configuration` has said why not."""
    try:
        return here.services is not None
    except ConfigError:
        return False


def disk(here: Here) -> Iterator[Finding]:
    """Look at the folder of the SQLite file; other stores have no local disk."""
    try:
        folder = _existing(database_file(here).parent)
    except (click.ClickException, ConfigError):
        return
    if not os.access(folder, os.W_OK):
        yield Finding(
            False, f"disk: {folder} cannot be written to", "give the app's user the folder, or set DATABASE_URL"
        )
        return
    free = shutil.disk_usage(folder).free
    text = f"disk: {free / 1024**3:.1f} GiB free in {folder}"
    yield Finding(free >= FREE_MIN, text, "" if free >= FREE_MIN else "free space, or set RETENTION_DAYS lower")


def store(here: Here) -> Iterator[Finding]:
    try:
        ready = here.store
        ready.ping()
        oldest, waiting = ready.oldest_waiting(), ready.waiting()
        failed = sum(ready.failed_counts().values())
    except StoreError as error:
        yield Finding(
            False, f"store: {logs.masked(str(error))}", "check DATABASE_URL, its folder's rights and the disk"
        )
        return
    yield Finding(True, "store: can be read and written")
    age = f", the oldest since {when(oldest, datetime.now(UTC))}" if oldest else ""
    yield Finding(True, f"deliveries: {waiting} waiting{age}")
    remedy = "./outage failed says why; --retry all sends them again" if failed else ""
    yield Finding(not failed, f"deliveries: {failed} failed", remedy)


def app(here: Here) -> Iterator[Finding]:
    """Say whether the app runs: by its heartbeat in the store, and by its answer here."""
    answers = here.app.answers()
    try:
        beat = last_heartbeat(here.store)
    except StoreError:
        beat = None
    now = datetime.now(UTC)
    if parts.beats(beat, now):
        where = f"answers at {here.app.url}" if answers else f"does not answer at {here.app.url}; {OTHER_PORT}"
        yield Finding(True, f"app: runs, {where}; last active {when(beat, now)}")
    elif answers:
        remedy = "see its log; restart it"
        yield Finding(False, f"app: answers at {here.app.url}, but nothing polls or delivers", remedy)
    else:
        yield Finding(False, "app: does not run", "./outage start")


def _outdated(lock: Path) -> list[str]:
    """Return the installed packages that are of another version than the lock names."""
    try:
        locked = _LOCKED.findall(lock.read_text())
    except OSError:
        return ["requirements.txt cannot be read"]
    found = []
    for name, version in locked:
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # another system's, or the app would not have come so far
        if installed != version:
            found.append(f"{name} is {installed}, not {version}")
    return found


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return folder if folder.exists() or folder == folder.parent else _existing(folder.parent)
