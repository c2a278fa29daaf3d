"""What a Jira issue and its comments say, as an ADF document (REST v3) or as wiki text (v2); pure.

Both are written from the same blocks. Nothing that a vendor or a person wrote becomes markup, and neither form is
longer than Jira takes: the rows of labels go first, then the end of the description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service_event_checker.remote.marks import signature
from service_event_checker.remote.ticket import Comment
from service_event_checker.render.notice import Notice
from service_event_checker.render.own import TITLE, Form
from service_event_checker.render.text import cut, web_address
from service_event_checker.render.texts import say

SUMMARY_MAX = 255  # UTF-16 units, as Java counts
TEXT_MAX = 32_000  # of 32,767 (JRACLOUD-68949); for ADF we count the whole JSON, which is the safe side
# the rows of labels and annotations, and characters of free text, that we try until it fits
_ROOMS = ((100, 8000), (40, 8000), (20, 4000), (10, 2000), (0, 300))
BODY = "txt"  # the part that templates of users may write: descriptions and comments, in paragraphs
FORMS: Mapping[str, Form] = {TITLE: Form(line=True, limit=SUMMARY_MAX), BODY: Form(limit=TEXT_MAX)}
_WORD_JOINER = "\u2060"
# https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all; inside a word it is not markup.
_WIKI = re.compile(r"[{}\[\]()|!\\]|&(?=#?\w+;)|(?<![^\W_])[*_+^~-]|[*_+^~-](?![^\W_])|\?(?=\?)|(?<=\?)\?")
_LINE_START = re.compile(r"^(?=\s*(?:#|h[1-6]\.|bq\.))", re.MULTILINE)
_UNSAFE_IN_LINK = re.compile(r"[\[\]{}!^|\\]")

Body = dict[str, Any] | str
Writer = Callable[[Iterable["Block"]], Body]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some lines; `url` is a link that follows them."""

    text: str
    bold: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    rows: tuple[tuple[str, str], ...]


Block = Paragraph | Table


def summary(told: Notice) -> str:
    title = told.own.get(TITLE) or told.subject
    if _units(title) <= SUMMARY_MAX:
        return title
    return title.encode("utf-16-le")[: 2 * (SUMMARY_MAX - 1)].decode("utf-16-le", "ignore").rstrip() + "…"


def description(told: Notice, previous: str, write: Writer) -> Body:
    """Return what a new issue says; `previous` is the address or id of an earlier episode's, or ""."""
    return _fitting(write, lambda rows, room: _description(told, previous, rows, room))


def comment(said: Comment, write: Writer) -> Body:
    """Return a comment on a change. Its last line is our signature."""
    return _fitting(write, lambda _, room: _comment(said.told, said.mark, room, said.full))


def made_twice(kept: str, marker: str, write: Writer) -> Body:
    """Return the comment on a duplicate; `kept` is the address or id of the other."""
    return write([_named("This was made twice. The same outage goes on in", kept), _signed(marker)])


def adf(blocks: Iterable[Block]) -> Body:
    """Return a document (https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/)."""
    nodes = [_adf_table(each) if isinstance(each, Table) else _adf_paragraph(each) for each in blocks]
    return {"type": "doc", "version": 1, "content": nodes}


def wiki(blocks: Iterable[Block]) -> Body:
    """Return wiki text for the renderer of Jira Server and Data Center."""
    return "\n\n".join(_wiki_table(each) if isinstance(each, Table) else _wiki_paragraph(each) for each in blocks)


def escape_wiki(text: str) -> str:
    """Neutralize Jira's wiki markup. A backslash has no escape of its own and becomes an entity."""
    return _LINE_START.sub(_WORD_JOINER, _WIKI.sub(_escaped, text))


def _fitting(write: Writer, blocks: Callable[[int, int], Iterator[Block]]) -> Body:
    body: Body = ""
    for rows, room in _ROOMS:
        body = write(blocks(rows, room))
        if _units(body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)) <= TEXT_MAX:
            break
    return body


def _description(told: Notice, previous: str, rows: int, room: int) -> Iterator[Block]:
    if own := told.own.get(BODY):
        yield from (Paragraph(part) for part in cut(own, room).split("\n\n"))
        return
    yield Paragraph(told.headline, bold=True)
    yield Table(told.fields)
    if told.body:
        yield Paragraph(cut(told.body, room))
    if told.link:
        yield Paragraph("", url=told.link)
    for name, url in told.links:
        yield Paragraph(f"{name}:", url=url)
    yield from _tickets(told)
    if previous:
        yield _named(f"{say('object.previous')}:", previous)
    for title, pairs in ((say("labels"), told.labels), (say("annotations"), told.annotations)):
        if pairs[:rows]:
            yield Paragraph(title, bold=True)
            yield Table(pairs[:rows])
    yield Paragraph(told.footer)


def _comment(told: Notice, marker: str, room: int, full: bool) -> Iterator[Block]:
    if own := told.own.get(BODY):
        yield from (Paragraph(part) for part in cut(own, room).split("\n\n"))
        full = False
    else:
        yield Paragraph(cut(told.change or say("change.reopened"), room))
    if full:
        yield Paragraph(told.standing)
        if told.body:
            yield Paragraph(cut(told.body, room))
        yield from _tickets(told)
    yield _signed(marker)


def _named(text: str, place: str) -> Paragraph:
    """Name an issue by its address, or by its id where that is all we have."""
    address = web_address(place)
    return Paragraph(text, url=address) if address else Paragraph(f"{text} {place}")


def _signed(marker: str) -> Paragraph:
    return Paragraph(signature(marker))


def _tickets(told: Notice) -> Iterator[Block]:
    for what, name, url in told.tickets:
        yield Paragraph(f"{say('object.in', what=what, name=name)}:", url=url)


def _adf_paragraph(block: Paragraph) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for number, line in enumerate(block.text.split("\n")):
        if number:
            content.append({"type": "hardBreak"})
        if line:  # a text node may not be empty
            content.append({"type": "text", "text": line, **({"marks": [{"type": "strong"}]} if block.bold else {})})
    if block.url:
        if block.text:
            content.append({"type": "text", "text": " "})
        link = {"type": "link", "attrs": {"href": block.url}}
        content.append({"type": "text", "text": block.url, "marks": [link]})
    return {"type": "paragraph", "content": content}


def _adf_table(block: Table) -> dict[str, Any]:
    return {"type": "table", "content": [_adf_row(name, value) for name, value in block.rows]}


def _adf_row(name: str, value: str) -> dict[str, Any]:
    head = {"type": "tableHeader", "attrs": {}, "content": [_adf_paragraph(Paragraph(name))]}
    cell = {"type": "tableCell", "attrs": {}, "content": [_adf_paragraph(Paragraph(value))]}
    return {"type": "tableRow", "content": [head, cell]}


def _wiki_paragraph(block: Paragraph) -> str:
    text = escape_wiki(block.text)
    text = f"*{text}*" if block.bold and text else text
    return " ".join(part for part in (text, f"[{_in_link(block.url)}]" if block.url else "") if part)


def _wiki_table(block: Table) -> str:
    return "\n".join(f"||{_cell(name)}|{_cell(value)}|" for name, value in block.rows)


def _cell(text: str) -> str:
    return escape_wiki(" ".join(text.split())) or " "


def _in_link(url: str) -> str:
    return _UNSAFE_IN_LINK.sub(lambda found: f"%{ord(found[0]):02X}", url)


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    return {"\\": "&#92;", "&": "&amp;"}.get(char, f"\\{char}")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
