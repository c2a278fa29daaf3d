"""Where the personal access token comes from, and what people write for it: itself, base64 of it, or of `:PAT`."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Protocol

_PAT = re.compile(r":?(?P<pat>[A-Za-z0-9_-]{3,})")


class Pat(Protocol):
    def token(self) -> str:
        """Return the token as it was written. Raises DeliveryError when it cannot be had now."""
        ...

    def refused(self) -> None:
        """Hear that Azure DevOps did not accept it."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """A token that stays the same as long as the process lives."""

    value: str = field(repr=False)

    def token(self) -> str:
        return self.value

    def refused(self) -> None:
        """Nothing to be done: a person gives another one and starts again."""


def plain(text: str) -> str:
    """Return the PAT itself. What decodes to nothing like one is taken as it stands.

    A PAT has 52 or 84 letters and digits; that one of them were base64 of letters and digits only has a chance
    of 1 in 4**39.
    """
    text = "".join(text.split())
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return text
    found = _PAT.fullmatch(decoded.strip())
    return found["pat"] if found else text
