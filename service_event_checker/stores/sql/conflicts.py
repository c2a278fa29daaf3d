"""Repeats a transaction that lost to another one: a deadlock or a row made meanwhile is no outage of the store."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from service_event_checker.core.errors import StoreConflict

TRIES = 10
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def after_conflicts(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Call a method of the store again when it raises StoreConflict; for those that decide anew all by themselves."""

    @wraps(method)
    def repeated(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        for _ in range(TRIES - 1):
            try:
                return method(*args, **kwargs)
            except StoreConflict:
                continue
        return method(*args, **kwargs)

    return repeated
