"""Cuts marked-up text into messages of a system's length, never inside an escape, a link or a character. Pure.

Text comes as atoms: pieces that must stay whole. How long an atom is depends on what the system counts.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Sequence

Measure = Callable[[str], int]

RESERVE = 16  # of each message, for its number and an ellipsis
ELLIPSIS = "…"
_TAG = re.compile(r"<[^<>]*>")


def characters(text: str) -> int:
    return len(text)


def utf8(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def in_json(text: str) -> int:
    """Return the bytes of a text inside a JSON string in UTF-8: systems that limit the body count these."""
    return utf8(json.dumps(text, ensure_ascii=False)) - 2


def parsed_html(text: str) -> int:
    """Return the UTF-16 units that are shown of HTML, as Telegram counts them after it has parsed the entities."""
    return len(html.unescape(_TAG.sub("", text)).encode("utf-16-le", "replace")) // 2


def split(atoms: Iterable[str], limit: int, measure: Measure = characters) -> list[str]:
    """Return the text in parts of at most `limit`; joined, they are the atoms joined.

    A part ends after a line break if one is in its second half, else after a space, else after an atom. An atom that
    is longer than a part is left out.
    """
    parts: list[str] = []
    held: list[str] = []
    size = 0
    for atom in atoms:
        length = measure(atom)
        if length > limit:
            continue
        while size + length > limit:
            end = _break(held)
            parts.append("".join(held[:end]))
            held = held[end:]
            size = sum(map(measure, held))
        held.append(atom)
        size += length
    return [*parts, "".join(held)] if held else parts


def messages(atoms: Sequence[str], limit: int, most: int, measure: Measure = characters) -> list[str]:
    """Return at most `most` texts of at most `limit`, numbered if there are several; the last is cut if it must be."""
    if sum(map(measure, atoms)) <= limit and all(measure(atom) <= limit for atom in atoms):
        return ["".join(atoms).strip()]
    parts = split(atoms, limit - RESERVE, measure)
    if len(parts) > most:
        parts = [*parts[: most - 1], parts[most - 1].rstrip() + ELLIPSIS]
    if len(parts) == 1:
        return [parts[0].strip()]
    return [f"{part.strip()}\n({number}/{len(parts)})" for number, part in enumerate(parts, 1)]


def _break(atoms: Sequence[str]) -> int:
    """Return how many atoms the part that ends here keeps."""
    for wanted in ("\n", " "):
        for number in range(len(atoms), len(atoms) // 2, -1):
            if atoms[number - 1].endswith(wanted):
                return number
    return len(atoms)
