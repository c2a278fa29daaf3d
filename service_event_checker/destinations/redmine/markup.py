"""An alert in Redmine's markup: what a vendor wrote shows as it stands, and does nothing.

One escape serves Textile and both Markdowns: characters that could mean something become numeric entities, which all
three show as the character. Macros are looked for before any markup is read, so `{{` must not stand there at all.
Links of Redmine's own (#1, user:jane) are looked for afterwards, and CommonMark has made characters of the entities by
then: there an invisible character divides them.
https://www.redmine.org/projects/redmine/wiki/RedmineTextFormattingTextile
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from service_event_checker.remote.marks import signature
from service_event_checker.remote.ticket import Comment
from service_event_checker.render.notice import Notice
from service_event_checker.render.own import TITLE, Form
from service_event_checker.render.templates import render

Format = Literal["textile", "markdown", "common_mark"]  # as Redmine's own setting names them
BODY = "txt"
SUBJECT_MAX = 255  # characters; Redmine refuses more
FOLDER = Path(__file__).parent
DESCRIPTION_MAX = 60_000  # bytes; with MySQL the column takes 65,535
# What Redmine makes a link of by itself; inside, no character of Textile or Markdown has a meaning.
_ADDRESS = re.compile(r"https?://(?:[A-Za-z0-9\-._~:/?#=+,]|&(?=[A-Za-z0-9])|%[0-9A-Fa-f]{2})+")
_MARKUP = re.compile(
    r"""[&<>"*^~@!|{}\[\]#`\\]
    | (?<![A-Za-z0-9])[-_+]     # not within-a_word
    | (?<![0-9])%               # 99% stays
    | \?(?=\?) | (?<=\?)\?      # ??cite??
    | =(?==) | (?<==)=          # ==as it is==
    | (?<=.)\(                  # ABC(explained)
    | (?<=[A-Za-z]):(?=\S)      # source:file, user:jane, ftp://
    | (?<![A-Za-z0-9_])r(?=\d)  # r12, a revision
    | (?<=www)\.                # linked without a scheme
    """,
    re.VERBOSE | re.IGNORECASE,
)
_BLOCK = re.compile(r"^=|\.(?=:|$)|(?<=\d)\)")  # in the first word of a line: "h1. ", "1) ", "= "
_LINKING = "![#@:rR"  # what begins a link of Redmine's own
_WORD_JOINER = "&#8288;"
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def forms(markup: Format) -> dict[str, Form]:
    """Return what templates of users may write: the subject, and descriptions and notes in Redmine's markup."""
    return {TITLE: Form(line=True, limit=SUBJECT_MAX), BODY: Form(escape=partial(escape, markup=markup), limit=15_000)}


def escape(text: str, markup: Format) -> str:
    """Return markup that shows `text` as it is; addresses are linked by Redmine."""
    lines = [_line(line, markup) for line in text.split("\n")]
    return ("  \n" if markup == "common_mark" else "\n").join(lines)  # the others break lines where we do


def address(url: str) -> str:
    """Return a web address such that Redmine links it as a whole; without a link where that cannot be."""
    quoted = quote(url, safe="-._~:/?#&=+,%")
    return quoted if _ADDRESS.fullmatch(quoted) else escape(url, "textile")


def description(told: Notice, markup: Format, *, previous: str, mark: str) -> str:
    """Return an issue's description; labels and annotations are left out where there is no room for them.

    `previous`: address or number of the issue of an earlier episode, or "". `mark` stands in the last line.
    """
    if own := told.own.get(BODY):
        return f"{own}\n\n{mark}"
    shown = _escaped(told, markup)
    previous = address(previous) if previous.startswith("http") else escape(previous, markup)
    fixed = {"textile": markup == "textile", "previous": previous, "mark": mark}

    def filled(notice: Notice, left_out: int) -> str:
        return render("issue.j2", notice, folder=FOLDER, left_out=left_out, **fixed)

    bare = replace(shown, labels=(), annotations=())
    room = DESCRIPTION_MAX - len(filled(bare, 99_999).encode())
    labels, room = _fitting(shown.labels, room)
    annotations, room = _fitting(shown.annotations, room)
    left_out = len(shown.labels) + len(shown.annotations) - len(labels) - len(annotations)
    return filled(replace(shown, labels=labels, annotations=annotations), left_out)


def comment(said: Comment, markup: Format) -> str:
    """Return a note, with our signature in its last line."""
    if own := said.told.own.get(BODY):
        return f"{own}\n\n{signature(said.mark)}"
    return render("note.j2", _escaped(said.told, markup), folder=FOLDER, marker=signature(said.mark), full=said.full)


def _escaped(told: Notice, markup: Format) -> Notice:
    """Return the notice with all that our templates show escaped."""
    texts = {
        name: escape(getattr(told, name), markup)
        for name in ("headline", "state", "standing", "change", "body", "footer")
    }
    tables = {
        name: tuple((escape(left, markup), escape(right, markup)) for left, right in getattr(told, name))
        for name in ("fields", "labels", "annotations")
    }
    link = address(told.link) if told.link else ""
    tickets = tuple((what, escape(name, markup), address(url)) for what, name, url in told.tickets)
    links = tuple((name, address(url)) for name, url in told.links)
    changes: dict[str, Any] = {**texts, **tables, "link": link, "links": links, "tickets": tickets}
    return replace(told, **changes)


def _fitting(rows: tuple[tuple[str, str], ...], room: int) -> tuple[tuple[tuple[str, str], ...], int]:
    """Return the first rows that fit into so many bytes, and the room that is left."""
    kept: list[tuple[str, str]] = []
    room -= 60  # the table's head
    for name, value in rows:
        size = len(f"| {name} | {value} |\n".encode())
        if size > room:
            break
        kept.append((name, value))
        room -= size
    return tuple(kept), room


def _line(line: str, markup: Format) -> str:
    line = line.expandtabs(4).rstrip(" ")
    words = line.lstrip(" ")
    indent = "\u00a0" * (len(line) - len(words))  # an indented line would be code, or be moved to the left
    first, *others = re.split(r"(\s+)", words)
    return indent + _word(first, markup, first=True) + "".join(_word(each, markup) for each in others)


def _word(word: str, markup: Format, *, first: bool = False) -> str:
    if _ADDRESS.fullmatch(word):
        return word
    marks = {match.start() for match in _MARKUP.finditer(word)}
    if first:
        marks |= {match.start() for match in _BLOCK.finditer(word)}
    return "".join(_entity(char, markup) if place in marks else char for place, char in enumerate(word))


def _entity(char: str, markup: Format) -> str:
    entity = _NAMED.get(char, f"&#{ord(char)};")
    return entity + _WORD_JOINER if markup == "common_mark" and char in _LINKING else entity
