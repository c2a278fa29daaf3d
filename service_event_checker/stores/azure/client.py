"""Reads and writes rows of one Azure table in bounded time, and says in our own errors what went wrong.

A missing table is made on the way. Reads that belong together run side by side in one small pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import requests
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient, TableEntity, TableServiceClient, UpdateMode
from requests.adapters import HTTPAdapter

from service_event_checker.core.errors import StoreError
from service_event_checker.http import outbound
from service_event_checker.stores.azure import keys

CONNECT_SECONDS = 2
READ_SECONDS = 3
THREADS = 16
_NO_LONGER_SO = frozenset({404, 409, 412})  # missing, already there, changed
ANY = "*"  # as the ETag of a delete: whatever is there
_PAGE = 1000  # rows of one answer; the service gives no more

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Raced(StoreError):
    """A row was not as the write expected it: nothing of the write was done, or an earlier try had done it."""


@dataclass(frozen=True, slots=True)
class EntityChange:
    """One row's part of a write. `etag`: only if the row is still that one."""

    verb: str  # create, update, upsert, delete
    entity: Mapping[str, Any]
    etag: str | None = None

    @property
    def row_key(self) -> str:
        return str(self.entity["RowKey"])


def create(entity: Mapping[str, Any]) -> EntityChange:
    return EntityChange("create", entity)


def update(entity: Mapping[str, Any], etag: str) -> EntityChange:
    return EntityChange("update", entity, etag)


def upsert(entity: Mapping[str, Any]) -> EntityChange:
    return EntityChange("upsert", entity)


def delete(entity: Mapping[str, Any], etag: str) -> EntityChange:
    return EntityChange("delete", {"PartitionKey": entity["PartitionKey"], "RowKey": entity["RowKey"]}, etag)


def etag_of(entity: TableEntity) -> str:
    return str(entity.metadata["etag"])


def fits(changes: Sequence[EntityChange]) -> bool:
    """Whether the service takes the changes as one transaction."""
    if len(changes) > keys.ENTITIES_MAX or len({change.row_key for change in changes}) < len(changes):
        return False
    return sum(keys.payload_bytes(change.entity) for change in changes) <= keys.PAYLOAD_MAX


class Tables:
    """The connection: a client per table, and the pool they share."""

    def __init__(self, connection_string: str) -> None:
        self._service = TableServiceClient.from_connection_string(
            connection_string,
            transport=_transport(),
            retry_total=1,
            retry_read=0,  # a hanging store costs one read time-out, not two
            retry_status=0,  # the SDK would sleep as long as Retry-After says; our callers come again by themselves
            retry_backoff_factor=0.1,
        )
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="tables")

    @property
    def account(self) -> str:
        """The storage account's name."""
        return str(self._service.account_name)

    def table(self, name: str) -> Table:
        return Table(self._service, name)

    def each(self, work: Callable[[Argument], Result], arguments: Iterable[Argument]) -> list[Result]:
        """Run `work` for all side by side; results in order. The first error is raised and the rest cancelled.

        `work` itself must not call this.
        """
        wanted = list(arguments)
        if len(wanted) < 2:
            return [work(argument) for argument in wanted]
        futures = [self._pool.submit(work, argument) for argument in wanted]
        done, late = wait(futures, return_when=FIRST_EXCEPTION)
        for future in late:
            future.cancel()
        for future in done:
            future.result()
        return [future.result() for future in futures]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._service.close()


class Table:
    """One table. Every method raises StoreError when the service is away; writes raise Raced."""

    def __init__(self, service: TableServiceClient, name: str) -> None:
        self._service = service
        self.name = name
        self._client: TableClient = service.get_table_client(name)

    def get(self, partition: str, row_key: str) -> TableEntity | None:
        """Return one row, or None."""
        try:
            return self._call(lambda: self._client.get_entity(partition, row_key))
        except Raced:
            return None

    def scan(
        self,
        partition: str,
        prefix: str = "",
        where: str = "",
        values: Mapping[str, Any] | None = None,
        *,
        columns: Sequence[str] = (),
        top: int = 0,
        beyond: str = "",
    ) -> list[TableEntity]:
        """Return the rows of a partition whose keys begin with `prefix`, in the order of their keys.

        `where` is an OData filter with `@name` for `values`. `beyond`: only keys behind this one. `top`: at
        most so many rows (0: all).
        """
        query = "PartitionKey eq @partition and RowKey gt @low and RowKey lt @high" + (f" and {where}" if where else "")
        bounds = {"partition": partition, "low": beyond or prefix, "high": keys.after(prefix)}

        def read() -> list[TableEntity]:
            found = self._client.query_entities(
                query,
                parameters={**bounds, **(values or {})},
                select=[*columns, "PartitionKey", "RowKey"] if columns else None,
                results_per_page=min(top, _PAGE) if top else _PAGE,
            )
            return list(islice(found, top) if top else found)

        return self._call(read)

    def scan_partitions(self, prefix: str) -> list[TableEntity]:
        """Return the rows of all partitions whose names begin with `prefix`."""
        query, bounds = "PartitionKey ge @low and PartitionKey lt @high", {"low": prefix, "high": keys.after(prefix)}
        return self._call(lambda: list(self._client.query_entities(query, parameters=bounds, results_per_page=_PAGE)))

    def write(self, changes: Sequence[EntityChange]) -> None:
        """Write all of one partition or nothing."""
        _check(changes)
        if len(changes) == 1:
            self._call(lambda: self._write_one(changes[0]))
        elif changes:
            self._call(lambda: self._client.submit_transaction([_operation(change) for change in changes]))

    def _write_one(self, change: EntityChange) -> None:
        match change.verb:
            case "create":
                self._client.create_entity(change.entity)
            case "update":
                self._client.update_entity(change.entity, UpdateMode.REPLACE, **_only_if(change))
            case "upsert":
                self._client.upsert_entity(change.entity, UpdateMode.REPLACE)
            case _:
                self._client.submit_transaction([_operation(change)])  # delete_entity is silent about a missing row

    def _call(self, work: Callable[[], Result]) -> Result:
        try:
            try:
                return work()
            except HttpResponseError as error:
                if not _table_is_missing(error):
                    raise
                self._service.create_table_if_not_exists(self.name)
                return work()
        except HttpResponseError as error:
            if error.status_code in _NO_LONGER_SO and "TableBeingDeleted" not in str(error):
                raise Raced(f"table {self.name}: status {error.status_code}") from error
            raise StoreError(f"table {self.name}: status {error.status_code}") from error
        except AzureError as error:
            raise StoreError(f"table {self.name}: {type(error).__name__}") from error


def _transport() -> RequestsTransport:
    """Return a transport that keeps a connection for each thread of the pool and for as many callers.

    Certificates and proxy are those of all connections, and nothing is taken from the environment.
    """
    shared = outbound.shared()
    session = requests.Session()
    session.trust_env = False  # `use_env_settings` of the transport is for sessions of its own
    session.proxies = {"http": shared.proxy, "https": shared.proxy} if shared.proxy else {}
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=2 * THREADS))
    return RequestsTransport(
        session=session,
        connection_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        connection_verify=shared.ca_file or True,
    )


def _table_is_missing(error: HttpResponseError) -> bool:
    return error.status_code == 404 and "TableNotFound" in str(error)  # create_entity leaves error_code empty


def _operation(change: EntityChange) -> Any:
    if change.verb == "create":
        return ("create", change.entity)
    if change.verb == "delete":
        return ("delete", change.entity, _only_if(change))
    return (change.verb, change.entity, {"mode": UpdateMode.REPLACE, **_only_if(change)})


def _only_if(change: EntityChange) -> dict[str, Any]:
    if change.etag is None:
        return {}
    return {"etag": change.etag, "match_condition": MatchConditions.IfNotModified}


def _check(changes: Sequence[EntityChange]) -> None:
    """Refuse what the service would refuse; Azurite lets some of it pass."""
    if not fits(changes):
        raise StoreError(f"{len(changes)} rows do not make one transaction")
    for change in changes:
        broken = keys.refusal(change.entity)
        if broken:
            raise StoreError(f"row {change.row_key}: {broken}")
