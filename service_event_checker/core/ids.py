"""Identity: keys of alerts and of remote objects, and the ids that people read. Pure."""

from __future__ import annotations

import hashlib
from functools import lru_cache

BUCKETS = 16  # partitions of the store; one base32 character of every internal id
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U to misread at night


@lru_cache(maxsize=4096)  # an event is asked for its key at each step of the pipeline
def alert_key(source: str, fingerprint: str) -> str:
    """20 hex characters of sha256: the only id used in tables and towards other systems."""
    return _hex(f"{source}\n{fingerprint}")


def remote_key(key: str, episode: int) -> str:
    """20 hex characters that name one episode's object in a remote system; what `find` searches."""
    return _hex(f"{key}:{episode}")


def bucket(key: str) -> int:
    """The partition (0 to BUCKETS-1) that holds an alert and all that belongs to it."""
    return int(key[0], 16) % BUCKETS


def internal_id(source: str, key: str, episode: int, *, length: int = 5) -> str:
    """The id for people, e.g. `GITHUB-7F3KQ`: source, bucket, then base32 of the episode's hash.

    `length` counts the characters behind the dash; the caller asks for one more when an id is taken.
    """
    number = int.from_bytes(hashlib.sha256(f"{key}:{episode}".encode()).digest())
    code = _BASE32[bucket(key)]
    for _ in range(length - 1):
        number, digit = divmod(number, 32)
        code += _BASE32[digit]
    return f"{_prefix(source)}-{code}"


def internal_code(text: str) -> str:
    """The identifying part of an internal ID: upper case, without the source's name; "" if it is not an internal ID."""
    code = text.strip().upper().rpartition("-")[2]
    return code if 5 <= len(code) <= 12 and all(char in _BASE32 for char in code) else ""


def code_bucket(code: str) -> int:
    """The bucket that an internal code names."""
    return _BASE32.index(code[0]) % BUCKETS


@lru_cache(maxsize=1024)
def _prefix(source: str) -> str:
    letters = "".join(char if char.isascii() and char.isalnum() else "_" for char in source.rpartition(":")[2])
    return letters.strip("_").upper()[:20] or "ALERT"


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
