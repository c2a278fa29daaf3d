"""What one chat robot's system is like, as data: markup, limits, payload, signature, what its answers mean. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service_event_checker.core.errors import Reason
from service_event_checker.render.markup import Markup
from service_event_checker.render.message import Message
from service_event_checker.render.own import anything
from service_event_checker.render.splitting import Measure, characters

PARTS_MAX = 3  # messages for one delivery; what is longer is cut, the alert's page has all


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a code says of a delivery. `hint`: what a person should correct. `pause`: seconds to wait."""

    reason: Reason
    hint: str = ""
    permanent: bool = False
    pause: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How a body tells success: systems answer HTTP 200 to what they refuse.

    `code`: the fields of which the first that is there holds the code; none: the body is a text, which is the code.
    `good`: the codes of success. `says`: the fields of the system's own words. `retry_after`: the path of the seconds
    to wait. `meanings`: by code, or by a part of the words in lower case; what is not listed is refused for good.
    `statuses`: HTTP statuses that need no body.
    """

    code: tuple[str, ...] = ()
    good: frozenset[Any]
    statuses: frozenset[int] = frozenset()
    says: tuple[str, ...] = ()
    retry_after: tuple[str, ...] = ()
    meanings: Mapping[Any, Meaning] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Proof that we know the robot's secret: fields of the query, or of the body."""

    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One system. `limit`: of a text, in what `measure` counts; `per_minute`: messages. `headline`: whether it is part
    of the text. `mention`: one id, or `all`, as a part of the text. `payload`: makes the body of one text, with whom it
    mentions. `pause`: seconds to wait after a refusal for speed that names none. `where`: what a person checks if the
    address is wrong. `sign`: from the secret and the time. `part`: what the text is called
    in the names of templates; `check` raises ValueError for a text of theirs that the system refuses.
    """

    system: str
    markup: Markup
    limit: int
    measure: Measure = characters
    parts: int = PARTS_MAX
    per_minute: int = 18  # what most take is 20
    headline: bool = True
    part: str = "md"
    check: Callable[[str], None] = anything
    mention: Callable[[str], str] = lambda _: ""
    payload: Callable[[Message, str, tuple[str, ...]], dict[str, Any]]
    answers: Answers
    pause: float = 60.0
    where: str
    sign: Callable[[str, datetime], Signature] | None = None
