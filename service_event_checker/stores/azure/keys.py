"""Where each row of the Azure Tables store lies, and what the service allows. Pure; keys hold digits and letters only.

Active table, partition = bucket of the alert's key, one letter of the row key per kind of row. Ranges of one kind
are scanned, single rows are read by point. Limits: learn.microsoft.com/azure/storage/tables/scalability-targets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from service_event_checker.core.ids import BUCKETS, bucket

ALERT = "a"  # the newest episode, while it is not archived
EPISODE = "e"  # a past episode; in the active table only until it is archived
INTERNAL_ID = "i"  # outlives the archive
KNOWN = "k"  # one row per key ever seen; says which revision went to the archive
LANE = "l"  # a lane with its waiting deliveries; gone when nothing waits
LINK = "n"
TIMELINE = "t"
OUTCOME = "o"  # of a delivery; a row of the timeline that belongs to no revision of the alert
MEMBER = "g"  # an open member of a group, in the member's partition
DEAD = "x"  # a failed delivery

PARTITIONS = tuple(f"{number:x}" for number in range(BUCKETS))
RESOLVED = "resolved"  # partition of the resolved table that lists the newest episodes, latest first
POINTERS = "pointers"
KEPT = "kept"  # begins the partition of a holding area
SETTINGS = "settings"
SLOTS = "slots"
SILENCES = "silences"
AUDIT = "audit"
AUDIT_HEAD = "head"  # says which row is the last
AUDIT_ROW = "r"

ENTITIES_MAX = 99  # the service takes 100 in a transaction
PAYLOAD_MAX = 3 * 1024 * 1024  # bytes; the service takes 4 MiB
ENTITY_MAX = 1000 * 1024  # bytes; the service takes 1 MiB
PROPERTIES_MAX = 252  # besides the two keys and the time stamp
STRING_MAX = 32_768  # UTF-16 units (64 KiB) of one property
BINARY_MAX = 64 * 1024  # bytes of one property

NEVER = "9" * 17  # sorts behind every time of `sortable`
_PER_PROPERTY = 8  # bytes beside name and value
_PER_REQUEST = 700  # bytes of headers and JSON around one entity of a transaction
_LATEST = 2**63 - 1
_HIGHEST_KEY = 16**20 - 1


def partition(key: str) -> str:
    return PARTITIONS[bucket(key)]


def pointer_partition(receiver: str, external_id: str) -> str:
    return POINTERS + digest(receiver, external_id)[0]


def area_partition(area: str) -> str:
    return KEPT + digest(area)


def after(prefix: str) -> str:
    """Return the first key behind all keys that begin with `prefix`."""
    return prefix + "~"


def alert_row(key: str) -> str:
    return ALERT + key


def known_row(key: str) -> str:
    return KNOWN + key


def episode_row(key: str, episode: int) -> str:
    return f"{EPISODE}{key}{episode:08x}"


def lane_row(key: str, receiver: str) -> str:
    return f"{LANE}{key}{digest(receiver)}"


def link_row(key: str, receiver: str, episode: int) -> str:
    return f"{LINK}{key}{digest(receiver)}{episode:08x}"


def timeline_row(key: str, revision: int) -> str:
    """Return a row key that sorts the newest revision first."""
    return f"{TIMELINE}{key}{2**48 - revision:012x}"


def audit_row(number: int) -> str:
    return f"{AUDIT_ROW}{number:012d}"


def outcome_row(key: str, episode: int, revision: int, name: str) -> str:
    """Return a row key that sorts the newest episode first, in it updates (revision 0), then the newest revision."""
    return f"{outcomes_of(key, episode)}{2**48 - revision if revision else 0:012x}{digest(name)}"


def outcome_revision(row_key: str) -> int:
    """Return the revision of a row key of `outcome_row`."""
    number = int(row_key[29:41], 16)
    return 2**48 - number if number else 0


def outcomes_of(key: str, episode: int) -> str:
    """Return how the row keys of an episode's outcomes begin."""
    return f"{OUTCOME}{key}{2**32 - episode:08x}"


def timeline_revision(row_key: str) -> int:
    """Return the revision that a row key of `timeline_row` stands for."""
    return 2**48 - int(row_key[-12:], 16)


def dead_row(key: str, delivery_id: str) -> str:
    return f"{DEAD}{key}{digest(delivery_id)}"


def member_row(group: str, key: str) -> str:
    return MEMBER + group + key


def internal_id_row(code: str) -> str:
    return INTERNAL_ID + code


def resolved_row(updated_micros: int, key: str) -> str:
    """Return a row key that sorts the latest change first; of one time the higher key first."""
    return f"{_LATEST - updated_micros:016x}{_HIGHEST_KEY - int(key, 16):020x}"


def is_key(text: str) -> bool:
    """Whether a text has the form of an alert's key."""
    return len(text) == 20 and not set(text) - set("0123456789abcdef")


def cursor_row(cursor: str) -> str:
    """Return the row key of the alert that a page's cursor names; "" for an unreadable cursor."""
    at, _, key = cursor.partition("-")
    try:
        return resolved_row(int(at), key)
    except ValueError:
        return ""


def cursor_of(updated_micros: int, key: str) -> str:
    return f"{updated_micros}-{key}"


def digest(*parts: str) -> str:
    """Return 20 hex characters that stand for names which may hold any character."""
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:20]


def sortable(micros: int) -> str:
    """Return a time as text that compares like the number: the service's 64-bit integers need a type of their own."""
    return f"{micros:017d}"


def entity_bytes(entity: Mapping[str, object]) -> int:
    """Return what the service counts for an entity: UTF-16 text, names included."""
    return 4 + sum(_PER_PROPERTY + 2 * len(name) + _value_bytes(value) for name, value in entity.items())


def payload_bytes(entity: Mapping[str, object]) -> int:
    """Return what an entity adds to a transaction's body at most: JSON text, binary as base64."""
    return _PER_REQUEST + sum(len(name) + 24 + _sent_bytes(value) for name, value in entity.items())


def refusal(entity: Mapping[str, object]) -> str:
    """Return which limit of the service an entity breaks; "" if none. Azurite lets some of them pass."""
    if len(entity) - 2 > PROPERTIES_MAX:
        return f"{len(entity)} properties"
    for name, value in entity.items():
        if isinstance(value, str) and _units(value) > STRING_MAX:
            return f"{name} has {len(value)} characters"
        if isinstance(value, bytes) and len(value) > BINARY_MAX:
            return f"{name} has {len(value)} bytes"
    size = entity_bytes(entity)
    return f"{size} bytes" if size > ENTITY_MAX else ""


def pieces(packed: bytes) -> Sequence[bytes]:
    return [packed[start : start + BINARY_MAX] for start in range(0, len(packed), BINARY_MAX)]


def _value_bytes(value: object) -> int:
    if isinstance(value, str):
        return 4 + 2 * _units(value)
    return 4 + len(value) if isinstance(value, bytes) else 8


def _sent_bytes(value: object) -> int:
    if isinstance(value, str):
        return 3 * len(value.encode("utf-8", "surrogatepass"))  # \uXXXX escapes
    return len(value) * 4 // 3 + 4 if isinstance(value, bytes) else 20


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
