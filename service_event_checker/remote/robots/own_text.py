"""The texts of a robot's messages that templates of users may write, in the markup of its dialect. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from service_event_checker.remote.robots.dialect import Dialect
from service_event_checker.render.message import HEADLINE, HEADLINE_MAX
from service_event_checker.render.own import Form

_WHOLE = re.compile(r"\[[^\[\]\n]*\]\([^()\s]*\)|<[^<>\n]*>|&[#\w]{1,8};|\\.|.", re.DOTALL)  # links, tags, escapes


def forms(dialect: Dialect) -> Mapping[str, Form]:
    """Return what templates may write: the headline, which is escaped later, and the text, in the system's markup."""
    markup = replace(dialect.markup, newline="\n")
    text = Form(escape=lambda said: "".join(markup.escaped(said)), address=markup.address, check=dialect.check)
    return {HEADLINE: Form(line=True, limit=HEADLINE_MAX), dialect.part: text}


def atoms(text: str, newline: str) -> Iterator[str]:
    """Yield a text of a template in pieces that may not be divided; a line end becomes one that the system shows."""
    for found in _WHOLE.finditer(text):
        yield newline if found[0] == "\n" else found[0]
