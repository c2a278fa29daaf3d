"""What config.json says of any SMS service: whom, for which severities, and how long a text may be."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from service_event_checker.config.models import MAIL_BUDGET, DestinationConfig
from service_event_checker.core.model import Budget
from service_event_checker.core.vocabulary import Severity

RECIPIENTS_MAX = 50
_NUMBER = re.compile(r"\+?[0-9]{5,15}")  # E.164 takes 15 digits


def numbers(value: object) -> object:
    """Split "+49 170 1234567; +44..." into numbers, each once. Raises ValueError for what is not a number."""
    parts = re.split(r"[,;\n]", value) if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        return value
    plain = [re.sub(r"[\s().-]", "", part) for part in parts if part.strip()]
    if any(not _NUMBER.fullmatch(number) for number in plain):
        raise ValueError("has a part that is not a telephone number. Write it like +491701234567")
    return tuple(dict.fromkeys(plain))


class SmsConfig(DestinationConfig):
    """`to`: a list, or text with comma or semicolon between. `severities`: other alerts are not sent, whatever the
    rules say. `segments`: what one SMS may cost. `on_resolve`: `none` sends nothing at the end.
    """

    SETTLE: ClassVar[timedelta] = timedelta(0)  # nothing to wait for: nobody can look
    STORM: ClassVar[Budget | None] = MAIL_BUDGET
    RATE: ClassVar[tuple[float, int]] = (0.5, 5)
    NEEDS: ClassVar[tuple[str, ...]] = ("to",)

    to: Annotated[tuple[str, ...], BeforeValidator(numbers), Field(max_length=RECIPIENTS_MAX)] = ()
    """numbers, as a list or as text with comma or semicolon between, like `+491701234567`; at most 50"""
    severities: tuple[Severity, ...] = (Severity.CRITICAL,)
    """SMS are only sent for these, whatever the rules say; default: `["critical"]`"""
    segments: Annotated[int, Field(ge=1, le=6)] = 2
    """how many segments one SMS may have (1 to 6)"""
