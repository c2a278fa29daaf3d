"""How the contract suites set a destination up, and read its double's truth. A new adapter adds `<kind>/case.py`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service_event_checker.core.ports import Destination

DEADLINE = 2.0  # seconds; of every call in these tests, the good ones on a busy machine included


@dataclass(frozen=True)
class Case:
    """`objects`, `ended`, `end_notes`, `shown` read the double: how many objects it holds for us, how many of them are
    over, how many times the end was told, and all that a reader is shown. `gone`: an id that names nothing there.

    `objects_kept`: it keeps an object for each episode; a chat does not. `take`, `end`: a person takes, or ends, the
    object with this id there. `says_end_of_ended`: what a person has ended is told the end nevertheless.

    `refuse_end`: from now on the system lets nobody end an object. None where nothing there can demand so.
    `displace`: a person ends the object without fixing anything: merges it, marks it as a duplicate, removes it.
    `forbidden`: the body of a 403 in which the system says so.

    `real`: the fixture of a real server, which `double` is then given. `deadline`: seconds of the adapter's calls.
    """

    name: str
    double: Callable[..., Any]
    adapter: Callable[[Any], Destination]
    secret: str
    gone: str
    objects: Callable[[Any], int]
    ended: Callable[[Any], int]
    end_notes: Callable[[Any], int]
    shown: Callable[[Any], str]
    refuse_end: Callable[[Any], object] | None = None
    displace: Callable[[Any, str], object] | None = None
    forbidden: Callable[[str], object] = lambda said: {"message": said}
    real: str = ""
    objects_kept: bool = True
    take: Callable[[Any, str], object] = lambda _double, _id: None
    end: Callable[[Any, str], object] = lambda _double, _id: None
    says_end_of_ended: bool = False
    deadline: float = DEADLINE


def all_cases() -> list[Case]:
    """Return the `CASE` or `CASES` of each `case.py` in a folder beside this module."""
    kinds = sorted(found.parent.name for found in Path(__file__).parent.glob("*/case.py"))
    modules = [importlib.import_module(f"tests.destinations.{kind}.case") for kind in kinds]
    return [case for module in modules for case in getattr(module, "CASES", [getattr(module, "CASE", None)])]
