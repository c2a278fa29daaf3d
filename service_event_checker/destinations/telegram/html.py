"""Telegram's HTML: what a message may hold. https://core.telegram.org/bots/api#html-style"""

from __future__ import annotations

from html.parser import HTMLParser

from service_event_checker.render.splitting import parsed_html

TEXT_MAX = 4_096  # UTF-16 units after parsing
_ATTRIBUTES = {"a": {"href"}, "code": {"class"}, "span": {"class"}, "blockquote": {"expandable"}}
_TAGS = frozenset(
    ("b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "tg-spoiler", "pre", *_ATTRIBUTES),
)


def check(text: str) -> None:
    """Raise ValueError if Telegram would refuse a message with this text."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    if wrong := reader.wrong or "".join(f"<{tag}> is not closed" for tag in reader.open[-1:]):
        raise ValueError(f"{wrong}; Telegram takes well-formed <{'>, <'.join(sorted(_TAGS))}>")
    if (size := parsed_html(text)) > TEXT_MAX:
        raise ValueError(f"it writes {size} characters, Telegram takes {TEXT_MAX}: shorten with the filter cut")


class _Reader(HTMLParser):
    """Reads tags; `wrong` says what was wrong first, `open` holds the tags that are open."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        unknown = {name for name, _ in attrs} - _ATTRIBUTES.get(tag, set())
        if tag not in _TAGS or unknown:
            self.wrong = self.wrong or f"<{' '.join([tag, *sorted(unknown)])}> is not known to it"

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong = self.wrong or f"</{tag}> ends nothing"
