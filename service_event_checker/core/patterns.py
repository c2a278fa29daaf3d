"""Regular expressions as Alertmanager's matchers have them (RE2), written as Python's module wants them. Pure.

https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re

#: The parts of a pattern: escapes, classes, flags, what looks like a repetition only to Python, and single characters.
PARTS = re.compile(
    r"\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\(\?([ims]*(?:-[ims]+)?)\)|\{,\d*\}|.",
    re.DOTALL,
)
_IN_CLASS = re.compile(r"\\.|\[:(\^?\w+):\]|[\[&|~]", re.DOTALL)
#: what the escapes mean in a class: ASCII alone, unlike Python's
_PERL = {
    "d": "0-9",
    "D": r"\x00-/:-\U0010ffff",
    "w": "0-9A-Za-z_",
    "W": r"\x00-/:-@\[-^`{-\U0010ffff",
    "s": r"\t\n\f\r ",
    "S": r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff",
}
_WORD = "[0-9A-Za-z_]"
_ESCAPES = {
    "z": r"\Z",
    "b": f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))",
    "B": f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))",
    **{letter: f"[{_PERL[letter]}]" for letter in "dws"},
    **{letter.upper(): f"[^{_PERL[letter]}]" for letter in "dws"},  # else (?i) finds an s in it, as that of \u017f
}
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


def translated(pattern: str) -> str:
    """Return the pattern for Python's `re`. Raises re.error for a class in brackets that is unknown or not closed.

    Flags are written around what they govern, as Python wants them: `a(?i)b|c` becomes `a(?i:b)|(?i:c)`. In RE2 they
    may stand anywhere and hold to the end of their group.
    """
    written: list[str] = []
    flags = [""]  # in force in each open group, as Python opens them
    for part in PARTS.finditer(pattern):
        text = part[0]
        closing = ")" * flags[-1].count("(")
        if part[1] is not None:
            text = f"(?{part[1]}:" if part[1] else ""
            flags[-1] += text
        elif text == "(":
            flags.append("")
        elif text == ")" and len(flags) > 1:
            text = closing + text
            flags.pop()
        elif text == "|":
            text = f"{closing}|{flags[-1]}"
        else:
            text = _part(text)
        written.append(text)
    return "".join(written) + ")" * flags[-1].count("(")


def _part(text: str) -> str:
    """Return one part that opens and closes nothing."""
    if text == "[":
        raise re.error("a [ is not closed")
    if text.startswith("[") and len(text) > 1:
        return text[0] + _IN_CLASS.sub(_in_class, text[1:])
    if text.startswith("{,"):
        return "\\" + text
    return _ESCAPES.get(text[1:], text) if text.startswith("\\") else text


def _in_class(part: re.Match[str]) -> str:
    """Return a part of a class: Python knows no names in it, and may once give single signs a meaning."""
    text, name = part[0], part[1]
    if name is not None:
        if name not in _POSIX:
            raise re.error(f"the class [:{name}:] is not supported")
        return _POSIX[name]
    if text.startswith("\\"):
        return _PERL.get(text[1], text)
    return "\\" + text
