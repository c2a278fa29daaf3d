"""How chat systems mark text up, as data; and a message in such a markup, in atoms that may not be divided. Pure.

What a sender wrote becomes text and nothing else: no link that hides its address, no mention, no emphasis.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from service_event_checker.render.message import Message
from service_event_checker.render.text import cut
from service_event_checker.render.texts import say

LINK_TEXT_MAX = 120  # characters
_WORD_JOINER = "\u2060"  # is not seen, and parts a mention from its sign
_MENTION = re.compile(r"(?<![A-Za-z0-9])@(?=\w)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Markup:
    """`escapes`: what a character is written as, anywhere; `line_starts`: at the beginning of a line only.

    `bold` and `link` are patterns with `{text}` and `{url}`; `in_url`: what a character of an address is written as.
    """

    escapes: Mapping[str, str] = field(default_factory=dict)
    line_starts: Mapping[str, str] = field(default_factory=dict)
    bold: str = "{text}"
    link: str = "{text}: {url}"
    in_url: Mapping[str, str] = field(default_factory=dict)
    newline: str = "\n"

    def escaped(self, text: str) -> Iterator[str]:
        """Yield a text in atoms: one for each character, with what its escape adds."""
        starts = True
        for char in _MENTION.sub("@" + _WORD_JOINER, text):
            if char == "\n":
                yield self.newline
            elif starts and char in self.line_starts:
                yield self.line_starts[char]
            else:
                yield self.escapes.get(char, char)
            starts = char == "\n" or (starts and char in " \t")

    def emphasised(self, text: str) -> str:
        return self.bold.format(text="".join(self.escaped(text)))

    def linked(self, text: str, url: str) -> str:
        return self.link.format(text="".join(self.escaped(cut(text, LINK_TEXT_MAX))), url=self.address(url))

    def address(self, url: str) -> str:
        return "".join(self.in_url.get(char, char) for char in url)


def atoms(message: Message, markup: Markup, *, headline: bool = True) -> list[str]:
    """Return a message in a markup; without its headline where the system shows that elsewhere."""
    found: list[str] = []
    if headline:
        found += [markup.emphasised(message.headline), markup.newline]
    if message.change:
        found += [*markup.escaped(message.change), markup.newline]
    for name, value in message.facts:
        found += [markup.emphasised(say("fact", name=name)), " ", *markup.escaped(value), markup.newline]
    for text, url in message.links:
        found += [markup.linked(text, url), markup.newline]
    if message.body:
        found += [markup.newline, *markup.escaped(message.body), markup.newline]
    return found


_WIDE = "*＊ [［ ]］ <＜ >＞ `｀ ~～"
MARKDOWN_LINK = "[{text}]({url})"
IN_MARKDOWN_URL = {"(": "%28", ")": "%29", "[": "%5B", "]": "%5D", "<": "%3C", ">": "%3E"}
#: for systems that document a subset of Markdown and no escape: the full-width form of a sign is never markup
FULL_WIDTH = {pair[0]: pair[1] for pair in _WIDE.split()}
MARKDOWN_SUBSET = Markup(
    escapes=FULL_WIDTH,
    line_starts={"#": "＃"},
    bold="**{text}**",
    link=MARKDOWN_LINK,
    in_url=IN_MARKDOWN_URL,
)
