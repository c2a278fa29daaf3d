"""The gate before every store: nothing is read or written before `prepare` has succeeded, whoever asks.

Without it the web would work on a database that the engine has refused, such as one of a newer version.
"""

from __future__ import annotations

from typing import Any, cast

from service_event_checker.core.errors import StoreError
from service_event_checker.core.roles import Store


class PreparedStore:
    """Passes everything on to a store as soon as it is prepared. Until then all but `close` raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trouble = "it is not prepared yet"

    def prepare(self) -> None:
        """Prepare the store; may be repeated until it succeeds. Raises StoreError, and remembers the reason."""
        try:
            self._store.prepare()
        except StoreError as error:
            self._trouble = str(error)
            raise
        self._trouble = ""

    def close(self) -> None:
        cast(Any, self._store).close()

    @property
    def holding(self) -> Any:
        return _Closed(self._trouble) if self._trouble else self._store.holding

    @property
    def audit(self) -> Any:
        return _Closed(self._trouble) if self._trouble else self._store.audit

    def __getattr__(self, name: str) -> Any:
        if self._trouble:
            raise StoreError(self._trouble)
        return getattr(self._store, name)


class _Closed:
    """A part of a store that is not prepared: only what is asked of it fails."""

    def __init__(self, trouble: str) -> None:
        self._trouble = trouble

    def __getattr__(self, name: str) -> Any:
        raise StoreError(self._trouble)


def gated(store: Store) -> Store:
    """Return the store behind the gate."""
    return cast(Store, PreparedStore(store))
