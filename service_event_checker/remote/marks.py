"""By what our objects and comments in other systems are known as ours again: keys, and signatures; pure.

A key alone comes into a query to another system, never a text of an alert.
"""

from __future__ import annotations

import hashlib
import re

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.render.text import cut

TAG = "platform-outage-checker"  # on all that we make, where a system has tags or labels
KEY_TAG = "poc-"  # + a key
SIGNATURE = "Platform Outage Checker"  # + a mark: in each of our comments
_KEY = re.compile(r"[0-9a-f]{20}")
_SIGNED = re.compile(rf"{SIGNATURE} [0-9a-f]{{16}}")
_TAIL = 200  # characters at the end of a comment in which it is looked for


def is_key(text: str) -> bool:
    """Whether it is a remote key, or an alert's own."""
    return _KEY.fullmatch(text) is not None


def checked(key: str) -> str:
    """Return a key that may stand in a query. Raises DeliveryError for anything else."""
    if not is_key(key):
        raise DeliveryError(Reason.REFUSED, "a key is 20 hexadecimal digits", permanent=True)
    return key


def tag(key: str) -> str:
    """Return a key as a tag, a label or an alias. Raises DeliveryError for what is not a key."""
    return KEY_TAG + checked(key)


def tagged_key(text: str) -> str:
    """Return the key in a tag, a label or an alias, "" where it is not one of ours."""
    key = text.removeprefix(KEY_TAG)
    return key if text.startswith(KEY_TAG) and is_key(key) else ""


def marker(cause: str) -> str:
    """Return 16 hexadecimal digits that tell the comment of this cause (a delivery's id) from all others."""
    return hashlib.sha256(cause.encode()).hexdigest()[:16]


def signature(marker: str) -> str:
    """Return the signature by which a comment is recognised as ours and as this one."""
    return f"{SIGNATURE} {marker}"


def signed(text: str, marker: str, limit: int, end: str = "\n\n{}") -> str:
    """Return a comment of at most `limit` characters with our signature at its end, in the form of `end`."""
    ending = end.format(signature(marker))
    return cut(text, limit - len(ending)) + ending


def is_signed(text: str) -> bool:
    """Whether a comment contains our signature."""
    return _SIGNED.search(text) is not None


def ends_signed(text: str) -> bool:
    """Whether a comment ends with our signature. A person's text below a quotation of it does not."""
    found = list(_SIGNED.finditer(text[-_TAIL:]))
    return bool(found) and not re.search(r"\w", text[-_TAIL:][found[-1].end() :])
