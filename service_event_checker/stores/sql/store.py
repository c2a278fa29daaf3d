"""The store on a SQL database (SQLAlchemy Core). What databases differ in is asked of `dialects`.

Every write is one transaction, synced to disk before it is acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import URL, ColumnElement, Connection, Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError, TimeoutError

from service_event_checker.core import lanes as lane_rules
from service_event_checker.core import timeline as timeline_rules
from service_event_checker.core.errors import StoreConflict, StoreError
from service_event_checker.core.model import Alert, Delivery, Link, Slot, Transition
from service_event_checker.core.replacing import replace
from service_event_checker.core.store import (
    Claimed,
    Conflict,
    Done,
    IdTaken,
    Members,
    Outcome,
    Page,
    Query,
    RecordedPage,
    Settled,
    Waiting,
    Write,
)
from service_event_checker.core.vocabulary import Severity
from service_event_checker.stores import codec
from service_event_checker.stores.sql import database_file, dialects, driver, outbox, prepared
from service_event_checker.stores.sql import members as sql_members
from service_event_checker.stores.sql import page as sql_page
from service_event_checker.stores.sql import recorded as sql_recorded
from service_event_checker.stores.sql import rows as sql_rows
from service_event_checker.stores.sql.audit import SqlAudit
from service_event_checker.stores.sql.commit import Draft, draft, write_all
from service_event_checker.stores.sql.conflicts import after_conflicts
from service_event_checker.stores.sql.database_file import DatabaseFile
from service_event_checker.stores.sql.driver import Driver
from service_event_checker.stores.sql.holding import SqlHoldingArea
from service_event_checker.stores.sql.schema import upgrade
from service_event_checker.stores.sql.silences import SqlSilences
from service_event_checker.stores.sql.tables import (
    alerts,
    deliveries,
    episodes,
    internal_ids,
    links,
    outcomes,
    settings,
    slots,
    timeline,
)
from service_event_checker.stores.sql.turns import Turns

WRITTEN_AT_ONCE = 200  # alerts of one transaction: a quarter of a second, for which other writers wait
CHUNK = 500  # parameters in one IN list; SQLite's own limit is far higher, others' is not
ARCHIVED_AT_ONCE = 200
PAGE_MAX = 500
PING, PING_BYTES = "ping", 16_384
_ALERT_DOCS, _LINK_DOCS = select(alerts.c.doc), select(links.c.doc)
_SEVERITIES = {severity.rank: severity for severity in Severity}
_FULL = ("disk is full", "no space left", "is full")  # SQLite, PostgreSQL, MySQL


class ValueRefused(StoreError):
    """The database takes no such value; it is well otherwise."""


Written = Done | Conflict | IdTaken | ValueRefused


class SqlStore:
    """See `core.roles.Store` for the contract of every method. `patience`: seconds that a writer waits for others."""

    def __init__(self, url: str | URL, *, patience: float = dialects.BUSY_SECONDS) -> None:
        address = make_url(url)
        self._folder = dialects.folder_of(address)
        self._file = DatabaseFile(database_file.file_of(address))
        self._turns: Turns[Draft, Written] = Turns()
        self._patience = patience
        self.engine = dialects.make_engine(address)
        self.reader = dialects.make_reader(address, self.engine)
        self.holding = SqlHoldingArea(self._read, self._write)
        self.silences = SqlSilences(self._read, self._write)
        self.audit = SqlAudit(self._read, self._write)

    def close(self) -> None:
        self.reader.dispose()
        self.engine.dispose()

    def prepare(self) -> None:
        self._file.check()
        try:
            if self._folder:
                self._folder.mkdir(parents=True, exist_ok=True)
            upgrade(self.engine)
        except OSError as error:
            raise StoreError(f"{self._folder}: {error.strerror}; set DATABASE_URL to a place to write to") from error
        except SQLAlchemyError as error:
            raise _away(error) from error
        name = database_file.ID
        self._file.remember(self.setting(name) or self.set_setting(name, uuid4().hex, only_if_new=True))

    def get(self, keys: Iterable[str]) -> dict[str, Alert]:
        found = self._all(_ALERT_DOCS, alerts.c.key, keys)
        return {alert.key: alert for alert in map(codec.load_alert, found)}

    def by_internal_id(self, code: str) -> Alert | None:
        with self._read() as connection:
            place = connection.execute(select(internal_ids).where(internal_ids.c.code == code)).mappings().first()
            return outbox.episode_of(connection, place["key"], place["episode"]) if place else None

    def by_fingerprint(self, fingerprint: str) -> list[Alert]:
        return self._alerts(select(alerts.c.doc).where(alerts.c.fingerprint == fingerprint).limit(20))

    def open_alerts(self, source: str = "") -> list[Alert]:
        wanted = select(alerts.c.doc).where(alerts.c.open.is_(True))
        return self._alerts(wanted.where(alerts.c.source == source) if source else wanted)

    def open_counts(self) -> dict[tuple[str, Severity], int]:
        # Documents are looked into, not read: no other field has that name, and quotes in texts are escaped.
        real = alerts.c.doc.not_like('%"test":true%')
        counted = select(alerts.c.source, alerts.c.severity, func.count()).where(alerts.c.open.is_(True), real)
        with self._read() as connection:
            found = connection.execute(counted.group_by(alerts.c.source, alerts.c.severity)).all()
        return {(source, _SEVERITIES[rank]): number for source, rank, number in found}

    def withheld_alerts(self) -> list[Alert]:
        return self._alerts(select(alerts.c.doc).where(alerts.c.withheld.is_(True)))

    def page(self, query: Query) -> Page:
        limit = min(query.limit, PAGE_MAX)
        found = self._alerts(sql_page.page(query).limit(limit + 1))
        more = f"{codec.micros(found[limit - 1].updated_at)}-{found[limit - 1].key}" if len(found) > limit else ""
        return Page(alerts=tuple(found[:limit]), cursor=more)

    def links(self, keys: Iterable[str]) -> dict[str, list[Link]]:
        found: dict[str, list[Link]] = {}
        for link in map(codec.load_link, self._all(_LINK_DOCS, links.c.key, keys)):
            found.setdefault(link.key, []).append(link)
        return {key: sorted(those, key=lambda link: link.episode) for key, those in found.items()}

    def link_by(self, receiver: str, external_id: str) -> Link | None:
        wanted = select(links.c.doc).where(links.c.receiver == receiver, links.c.external_id == external_id)
        with self._read() as connection:
            doc = connection.scalar(wanted.order_by(links.c.episode.desc()).limit(1))
        return codec.load_link(doc) if doc else None

    def timeline(self, key: str, limit: int = 400) -> list[Transition]:
        wanted = select(timeline.c.doc).where(timeline.c.key == key).order_by(timeline.c.revision.desc()).limit(limit)
        with self._read() as connection:
            rows = [codec.load_transitions(doc) for doc in connection.scalars(wanted)]
            told = self._outcomes(connection, outcomes.c.key == key, limit)
        return timeline_rules.merged([transition for row in reversed(rows) for transition in row], told, limit)

    def outcomes(self, key: str, episode: int) -> list[Transition]:
        with self._read() as connection:
            return self._outcomes(connection, and_(outcomes.c.key == key, outcomes.c.episode == episode))

    def recorded(self, since: datetime, *, limit: int = 200, cursor: str = "") -> RecordedPage:
        with self._read() as connection:
            return sql_recorded.page(connection, since, limit, cursor)

    @staticmethod
    def _outcomes(connection: Connection, which: ColumnElement[bool], limit: int | None = None) -> list[Transition]:
        newest_first = (outcomes.c.at.desc(), outcomes.c.revision.desc(), outcomes.c.name.desc())
        newest = select(outcomes.c.doc).where(which).order_by(*newest_first).limit(limit)
        return [step for doc in reversed(list(connection.scalars(newest))) for step in codec.load_transitions(doc)]

    def members(self, groups: Iterable[str] | None = None) -> dict[str, Members]:
        with self._read() as connection:
            return sql_members.counted(connection, groups)

    def member_keys(self, group: str, limit: int, *, firing_before: datetime | None = None) -> list[str]:
        with self._read() as connection:
            return sql_members.listed(connection, group, limit, firing_before)

    def commit(self, writes: Sequence[Write], now: datetime) -> list[Done | Conflict | IdTaken]:
        results: list[Done | Conflict | IdTaken] = []
        refused: ValueRefused | None = None
        for start in range(0, len(writes), WRITTEN_AT_ONCE):
            drafts = [draft(write, now) for write in writes[start : start + WRITTEN_AT_ONCE]]  # before others wait
            for written in self._turns.together(drafts, self._patience, self._write_drafts):
                if isinstance(written, ValueRefused):
                    refused = written
                else:
                    results.append(written)
        if refused:  # when the others are written: a repetition would come to the same one again
            raise refused
        return results

    def due(self, receivers: Iterable[str], now: datetime) -> set[str]:
        at = codec.micros(now)
        with self._read() as connection:
            return {name for name in receivers if outbox.due(connection, {"at": at, "receiver": name}, 1)}

    @after_conflicts
    def claim(
        self,
        receiver: str,
        *,
        limit: int,
        owner: str,
        now: datetime,
        until: datetime,
        made_before: datetime | None = None,
    ) -> list[Claimed]:
        values = {"receiver": receiver, "at": codec.micros(now)}
        wanted = outbox.DUE_LOCKED if made_before is None else outbox.OLD_LOCKED
        with self._read() as connection:
            if not outbox.due(connection, values, 1):
                return []  # an idle look costs no write lock
        if made_before is not None:
            values["before"] = codec.micros(made_before)
        with self._write() as connection:
            docs = outbox.due(connection, values, limit, wanted)
            leased = [replace(codec.load_delivery(doc), owner=owner, lease_until=until) for doc in docs]
            for delivery in leased:
                outbox.put(connection, delivery)
            return [outbox.claimed(connection, delivery) for delivery in leased]

    @after_conflicts
    def intend(self, delivery: Delivery, now: datetime) -> Delivery:
        with self._write() as connection:
            held = replace(outbox.held(connection, delivery), intent_at=now)
            outbox.put(connection, held)
        return held

    def settle(
        self,
        delivery: Delivery,
        outcome: Outcome,
        now: datetime,
        write: Write | None = None,
        step: Transition | None = None,
    ) -> None:
        with self._write() as connection:
            lane, waiting = sql_rows.read_lane(connection, delivery.key, delivery.receiver)
            held = outbox.held(connection, delivery)
            link = outcome.link if isinstance(outcome, Settled) else None
            change = lane_rules.settle(lane, waiting, held, outcome, now)
            sql_rows.apply(connection, change, link, (delivery, step) if step else None)
            if write and not isinstance(write_all(driver.of(connection), [draft(write, now)])[0], Done):
                raise StoreConflict(f"alert {write.alert.key} was changed meanwhile")

    @after_conflicts
    def sweep(self, now: datetime, *, latest: datetime | None = None) -> int:
        heads = select(deliveries.c.key, deliveries.c.receiver).where(deliveries.c.dead.is_(False))
        lanes = heads.group_by(deliveries.c.key, deliveries.c.receiver)
        due_at, lease_until = func.max(deliveries.c.due_at), func.max(deliveries.c.lease_until)
        at = codec.micros(latest) if latest else codec.MICROS_MAX
        wrong = or_(due_at.is_(None), due_at > at, lease_until > at)
        with self._read() as connection:
            found = connection.execute(lanes.having(wrong).limit(CHUNK)).all()
        for key, receiver in found:
            with self._write() as connection:
                lane, waiting = sql_rows.read_lane(connection, key, receiver)
                sql_rows.apply(connection, lane_rules.swept(lane, waiting, latest, now))
        return len(found)

    def waiting(self, receiver: str = "") -> int:
        wanted = select(func.count()).select_from(deliveries).where(deliveries.c.dead.is_(False))
        with self._read() as connection:
            return connection.scalar(wanted.where(deliveries.c.receiver == receiver) if receiver else wanted) or 0

    def waiting_by_receiver(self) -> dict[str, Waiting]:
        columns = deliveries.c.receiver, func.count(), func.min(deliveries.c.created_at)
        wanted = select(*columns).where(deliveries.c.dead.is_(False)).group_by(deliveries.c.receiver)
        with self._read() as connection:
            return {name: Waiting(number, codec.from_micros(at)) for name, number, at in connection.execute(wanted)}

    def keys_with_pending(self, receiver: str) -> set[str]:
        owed = select(deliveries.c.key).where(deliveries.c.receiver == receiver, deliveries.c.dead.is_(False))
        with self._read() as connection:
            return set(connection.scalars(owed.distinct()))

    def oldest_waiting(self) -> datetime | None:
        with self._read() as connection:
            oldest = connection.scalar(select(func.min(deliveries.c.created_at)).where(deliveries.c.dead.is_(False)))
        return codec.from_micros(oldest) if oldest is not None else None

    def waiting_deliveries(self, limit: int = 200, *, key: str = "") -> list[Delivery]:
        wanted = select(deliveries.c.doc).where(deliveries.c.dead.is_(False)).order_by(deliveries.c.created_at)
        wanted = wanted.where(deliveries.c.key == key) if key else wanted
        with self._read() as connection:
            return [codec.load_delivery(doc) for doc in connection.scalars(wanted.limit(limit))]

    def failed_deliveries(self, limit: int = 200, *, receiver: str = "", key: str = "") -> list[Delivery]:
        dead = select(deliveries.c.doc).where(deliveries.c.dead.is_(True)).order_by(deliveries.c.created_at.desc())
        if receiver:
            dead = dead.where(deliveries.c.receiver == receiver)
        if key:
            dead = dead.where(deliveries.c.key == key)
        with self._read() as connection:
            return [codec.load_delivery(doc) for doc in connection.scalars(dead.limit(limit))]

    def failed_counts(self) -> dict[str, int]:
        counted = select(deliveries.c.receiver, func.count()).where(deliveries.c.dead.is_(True))
        with self._read() as connection:
            return {name: number for name, number in connection.execute(counted.group_by(deliveries.c.receiver))}

    @after_conflicts
    def discard(self, delivery_id: str) -> bool:
        with self._write() as connection:
            dead = and_(deliveries.c.id == delivery_id, deliveries.c.dead.is_(True))
            return connection.execute(delete(deliveries).where(dead)).rowcount > 0

    @after_conflicts
    def requeue(self, delivery_id: str, now: datetime) -> bool:
        with self._write() as connection:
            dead = and_(deliveries.c.id == delivery_id, deliveries.c.dead.is_(True))
            doc = connection.scalar(select(deliveries.c.doc).where(dead))
            if doc is None:
                return False
            letter = codec.load_delivery(doc)
            # Locked first: an end that is written meanwhile sees what this queues, or this sees the end.
            lane, waiting = sql_rows.read_lane(connection, letter.key, letter.receiver)
            head = connection.scalar(select(alerts.c.doc).where(alerts.c.key == letter.key))
            again = lane_rules.requeued(letter, codec.load_alert(head)) if head else ()
            if not again or not connection.execute(delete(deliveries).where(dead)).rowcount:
                return False  # it is over, or somebody else was faster
            sql_rows.apply(connection, lane_rules.revive(lane, waiting, again, now))
            return True

    @after_conflicts
    def archive(self, now: datetime) -> int:
        waits = select(deliveries.c.key).where(deliveries.c.key == alerts.c.key, deliveries.c.dead.is_(False))
        idle = and_(alerts.c.withheld.is_(False), ~waits.exists())
        over = and_(alerts.c.archived.is_(False), alerts.c.open.is_(False), idle)
        found = self._alerts(select(alerts.c.doc).where(over).limit(ARCHIVED_AT_ONCE))
        for alert in found:
            with self._write() as connection:
                sql_rows.archive(connection, alert)
        return len(found)

    @after_conflicts
    def trim(self, since: datetime) -> int:
        busy = and_(alerts.c.updated_at >= codec.micros(since), alerts.c.revision > timeline_rules.KEPT)
        long = select(alerts.c.key, alerts.c.episode).where(busy).order_by(alerts.c.updated_at.desc()).limit(CHUNK)
        with self._read() as connection:
            found = connection.execute(long).all()
        trimmed = 0
        for key, episode in found:
            with self._read() as connection:
                changes = timeline_rules.trimmed(sql_rows.timeline_rows(connection, key, episode))
            if changes:
                trimmed += 1
                with self._write() as connection:  # commits only add rows, so that what was read still holds
                    sql_rows.rewrite_timeline(connection, key, changes)
        return trimmed

    @after_conflicts
    def retain(self, before: datetime) -> int:
        head = alerts.c.key == episodes.c.key
        newest = select(alerts.c.episode).where(head).scalar_subquery()
        archived = select(alerts.c.key).where(head, alerts.c.archived.is_(True)).exists()
        same = and_(deliveries.c.key == episodes.c.key, deliveries.c.episode == episodes.c.episode)
        owes = select(deliveries.c.id).where(same, deliveries.c.dead.is_(False)).exists()
        past = or_(episodes.c.episode < newest, archived)
        old = and_(episodes.c.ended_at < codec.micros(before), past, ~owes)
        with self._read() as connection:
            oldest_first = select(episodes.c.doc).where(old).order_by(episodes.c.key, episodes.c.episode)
            found = list(connection.scalars(oldest_first.limit(CHUNK)))
        for alert in map(codec.load_alert, found):
            with self._write() as connection:
                sql_rows.forget(connection, alert)
        return len(found)

    def slots(self) -> dict[str, Slot]:
        with self._read() as connection:
            found = [codec.load_slot(doc) for doc in connection.scalars(select(slots.c.doc))]
        return {slot.name: slot for slot in found}

    def put_slot(self, slot: Slot) -> Slot | None:
        try:
            return self._put_slot(slot)
        except StoreConflict:
            return None  # it was made by somebody else after we had looked

    def _put_slot(self, slot: Slot) -> Slot | None:
        stored = replace(slot, revision=slot.revision + 1)
        row = {"revision": stored.revision, "doc": codec.dump_slot(stored)}
        with self._write() as connection:
            same = and_(slots.c.name == slot.name, slots.c.revision == slot.revision)
            if connection.execute(update(slots).where(same).values(**row)).rowcount:
                return stored
            if slot.revision or connection.scalar(select(slots.c.name).where(slots.c.name == slot.name)):
                return None
            connection.execute(insert(slots).values(name=slot.name, **row))
        return stored

    def setting(self, name: str) -> str | None:
        with self._read() as connection:
            return connection.scalar(select(settings.c.value).where(settings.c.name == name))

    @after_conflicts
    def set_setting(self, name: str, value: str, *, only_if_new: bool = False) -> str:
        with self._write() as connection:
            held = connection.scalar(select(settings.c.value).where(settings.c.name == name))
            if held is not None and only_if_new:
                return str(held)
            if held is None:  # by an insert, which fails where somebody else was faster
                connection.execute(insert(settings).values(name=name, value=value))
            else:
                connection.execute(update(settings).where(settings.c.name == name).values(value=value))
        return value

    @after_conflicts
    def ping(self) -> None:
        """Write as much as an alert with its rows takes, and remove it: a nearly full disk takes a small row."""
        with self._write() as connection:
            sql_rows.upsert(connection, settings, {"name": PING, "value": "." * PING_BYTES})
        with self._write() as connection:
            connection.execute(delete(settings).where(settings.c.name == PING))

    def _write_drafts(self, drafts: Sequence[Draft], patience: float) -> Sequence[Written]:
        """Write alerts in one transaction; where it lost to another's, all of them are to be decided anew.

        A value that the database refuses fails its own alert only. Hardly ever has another process just made what is
        new here: then a second look names it.
        """
        with suppress(StoreConflict, ValueRefused), self._batch(patience) as transaction:
            return write_all(transaction, drafts, trusting=True)
        try:
            with self._batch(patience) as transaction:
                return write_all(transaction, drafts)
        except StoreConflict:
            return [Conflict(each.key) for each in drafts]
        except ValueRefused as error:
            if len(drafts) == 1:
                return [error]
        return [result for each in drafts for result in self._write_drafts([each], patience)]

    def _alerts(self, wanted: Select[Any]) -> list[Alert]:
        with self._read() as connection:
            return [codec.load_alert(doc) for doc in connection.scalars(wanted)]

    def _all(self, wanted: Select[Any], by: Any, keys: Iterable[str]) -> list[str]:
        try:
            with driver.lent(self.reader) as lent:
                self._file.check(lent.connection)
                return [doc for (doc,) in prepared.read(lent, wanted, by, dict.fromkeys(keys))]
        except SQLAlchemyError as error:
            raise _away(error) from error

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        try:
            with self.reader.connect() as connection:
                self._file.check(connection.connection)
                yield connection
        except SQLAlchemyError as error:
            raise _away(error) from error

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._turn() as patience, self._transaction(patience) as connection:
            yield connection

    @contextmanager
    def _transaction(self, patience: float) -> Iterator[Connection]:
        with self._telling_conflicts(), self.engine.connect() as connection:
            self._file.check_before(connection.connection)
            dialects.wait_at_most(connection, patience)
            with connection.begin():
                yield connection
            self._file.check(connection.connection)  # what went into a deleted file is not acknowledged

    @contextmanager
    def _batch(self, patience: float) -> Iterator[Driver]:
        """Like `_transaction`, at half of its cost."""
        with self._telling_conflicts(), driver.lent(self.engine) as lent:
            self._file.check_before(lent.connection)
            with lent.transaction(dialects.of(self.engine).begin, patience):
                yield lent
            self._file.check(lent.connection)

    @contextmanager
    def _telling_conflicts(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            if dialects.of(self.engine).is_conflict(error):
                raise StoreConflict("another transaction was faster") from error
            raise _away(error) from error

    def _turn(self) -> AbstractContextManager[float]:
        one_writer = dialects.of(self.engine).begin is not None
        return self._turns.turn(self._patience) if one_writer else nullcontext(self._patience)


def _away(error: SQLAlchemyError) -> StoreError:
    """Say what the database said: not SQLAlchemy's text, which holds the statement with its values."""
    if isinstance(error, DataError) or not isinstance(error, (DBAPIError, TimeoutError)):
        return ValueRefused(f"{type(error).__name__}: {getattr(error, 'orig', '')}")
    said = getattr(error, "orig", None)
    if any(words in str(said).lower() for words in _FULL):
        return StoreError(f"disk full: {said}")
    return StoreError(f"{type(error).__name__}: {said}" if said else type(error).__name__)
