"""Reloads the configuration of a running process; one that is wrong is refused, and the last good one stays.

Each process reads the file itself. A revision and a checksum say which content all are to work with: Gunicorn's master
passes them to its workers by shared memory, the others find them in the store (ADR 14).
"""

from __future__ import annotations

import hashlib
import mmap
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from service_event_checker import wiring
from service_event_checker.config.load import Config, ConfigError
from service_event_checker.core.errors import StoreError
from service_event_checker.engine import reloads
from service_event_checker.engine.reloads import Applied, Record, Reloaded
from service_event_checker.engine.schedule import Engine
from service_event_checker.engine.services import Services

BOARD_BYTES = 65_536
_DIGEST, _LENGTH = 32, 4  # bytes before the text on a board
_REMEDY = "correct the file, then reload again; the service goes on with the configuration that it has"

log = structlog.get_logger()


class Board:
    """A text that a process writes and those that it forks read; in memory, gone with the last of them."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, BOARD_BYTES)

    def read(self) -> str:
        """Return the text, "" before the first one and while one is being written."""
        length = int.from_bytes(self._memory[_DIGEST : _DIGEST + _LENGTH])
        body = self._memory[_DIGEST + _LENGTH : _DIGEST + _LENGTH + length]
        whole = hashlib.sha256(body).digest() == self._memory[:_DIGEST]
        return body.decode() if whole else ""

    def write(self, text: str) -> None:
        body = text.encode()
        whole = hashlib.sha256(body).digest() + len(body).to_bytes(_LENGTH) + body
        self._memory[: len(whole)] = whole


class Reloader:
    """The reloads of one process. Safe to call from several threads; one reload follows the other.

    `board`: set in Gunicorn's master before it forks. `changed` is called with the new services before jobs use them.
    """

    def __init__(
        self, engine: Engine, environ: Mapping[str, str], changed: Callable[[Services], None] = lambda _new: None
    ) -> None:
        self.board: Board | None = None
        self._engine = engine
        self._environ = dict(environ)
        self._changed = changed
        self._alone = threading.Lock()
        self._asked = threading.Event()
        self._board_seen = ""
        self._unpublished: Record | None = None
        self._looked = False  # into the store
        self._revision = ""  # of the configuration here, "" for that of the start
        self._wanted: Applied | None = None
        self._differs = ""  # the revision that the file here was said to differ from

    def ask(self, *_: object) -> None:
        """Have the next `follow` reload; for signal handlers, which must not wait for a lock."""
        self._asked.set()
        self._engine.look_at_configuration()

    def reload(self) -> Reloaded:
        """Take the file as it is now, and have all processes take it. Raises ConfigError; then nothing changes.

        If the store is away, this process works with it, and the others hear of it when the store is back.
        """
        with self._alone:
            return self._reload(self._publish)

    def reload_for_workers(self) -> None:
        """Like `reload` in Gunicorn's master, which asks no store: what it finds goes to the board. Logs an error."""
        with self._alone, suppress(ConfigError):  # logged, and on the board
            self._reload(self._post)

    def follow(self) -> None:
        """Take what this process was asked for, or what another one has reloaded; called every second or so.

        Raises StoreError; it may be repeated.
        """
        if self._asked.is_set():
            self._asked.clear()
            try:
                self.reload()
            except ConfigError:
                return  # logged and stored
        with self._alone:
            self._read_board()
            self._take_wanted()
            if self._unpublished:
                self._store(self._unpublished)
            self._read_store()
            self._take_wanted()

    def _reload(self, publish: Callable[[Record], None]) -> Reloaded:
        now = datetime.now(UTC)
        try:
            found = self._swap(*self._examined())
        except ConfigError as error:
            log.error("config_not_reloaded", problems=error.problems, hint=_REMEDY)  # noqa: TRY400  # a mistake, no crash
            publish(reloads.refused(error.file, error.problems, now))
            raise
        applied = reloads.applied(found.checksum, now)
        self._settle(applied)
        publish(Record(applied=applied))
        return found

    def _publish(self, news: Record) -> None:
        try:
            self._store(news)
        except StoreError as error:
            self._unpublished = news
            log.warning("store_unavailable", during="telling the other processes of a reload", reason=str(error))

    def _store(self, news: Record) -> None:
        reloads.write(self._engine.services.store, news, only_newer=news is self._unpublished)
        self._unpublished = None

    def _post(self, news: Record) -> None:
        self._board_seen = reloads.to_text(news)  # what is forked from here has it
        if self.board:
            self.board.write(self._board_seen)

    def _read_board(self) -> None:
        text = self.board.read() if self.board else ""
        if text and text != self._board_seen:
            self._board_seen = text
            self._unpublished = reloads.from_text(text)
            self._want(self._unpublished.applied)

    def _read_store(self) -> None:
        applied, first = reloads.read(self._engine.services.store).applied, not self._looked
        self._looked = True
        here = self._engine.services.config.checksum
        if first and applied and here in (applied.checksum, wiring.file_checksum(self._environ)):
            self._revision = self._revision or applied.revision  # it has just started, with this content or a newer one
        else:
            self._want(applied)

    def _want(self, applied: Applied | None) -> None:
        if applied is not None and applied.revision != self._revision:
            self._wanted = applied

    def _take_wanted(self) -> None:
        """Reload the file if it has the content that is wanted; else wait for it to have that content."""
        wanted = self._wanted
        if wanted is None:
            return
        on_disk = wiring.file_checksum(self._environ)
        if wanted.checksum == on_disk:
            self._take(wanted)
        elif self._differs != wanted.revision:
            self._differs = wanted.revision
            hint = "it is taken as soon as the file here has the content that another process has reloaded"
            log.warning("config_differs", wanted=wanted.checksum, here=on_disk or "no file", hint=hint)

    def _take(self, wanted: Applied) -> None:
        """Reload the file, which had the wanted content a moment ago."""
        try:
            config, services = self._examined()
        except ConfigError as error:  # of the environment here: another process can use this content
            log.error("config_not_reloaded", problems=error.problems, hint=_REMEDY)  # noqa: TRY400  # see _reload
            self._unpublished = reloads.refused(error.file, error.problems, datetime.now(UTC))
            self._settle(wanted)
            return
        if config.checksum == wanted.checksum:
            self._settle(wanted)
            self._swap(config, services)

    def _settle(self, wanted: Applied) -> None:
        self._revision, self._wanted = wanted.revision, None

    def _examined(self) -> tuple[Config, Services]:
        """Return the new configuration and the services of it. Raises ConfigError."""
        before = self._engine.services
        _, config = wiring.examine(self._environ)
        return config, wiring.build(before.settings, config, before=before)

    def _swap(self, config: Config, services: Services) -> Reloaded:
        changes = reloads.changes(self._engine.services.config, config)
        self._changed(services)
        self._engine.swap(services)
        log.info(
            "config_reloaded",
            checksum=config.checksum,
            added=", ".join(changes.added),
            removed=", ".join(changes.removed),
            changed=", ".join(changes.changed),
        )
        services.log_components()
        return Reloaded(file=config.file, checksum=config.checksum, changes=changes, warnings=config.warnings)
