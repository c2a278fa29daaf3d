"""What a person's browser is shown of an issue in the real Redmine: its subject, its description and its notes."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import requests

from tests.real.http_server import CALL_SECONDS
from tests.real.redmine import Redmine

_SHOWN = frozenset({"subject", "wiki"})  # classes of the boxes that hold what was written


class Browser:
    """The administrator's, signed in with the password that Debian's package gives."""

    def __init__(self, redmine: Redmine) -> None:
        self._url = redmine.url
        self._session = requests.Session()
        self._session.trust_env = False
        landed = self._submit("/login", "/login", username="admin", password="admin")
        assert "/login" not in landed, "Redmine did not let the administrator in"

    def format_text_as(self, formatting: str) -> None:
        """Change Redmine's own setting: `textile`, `markdown` or `common_mark`. It is everybody's: put it back."""
        self._submit("/settings", "/settings/edit?tab=general", **{"settings[text_formatting]": formatting})

    def shown(self, issue: int) -> str:
        """Return the text as it is read, among the tags that are in force: a `<` that is shown is `&lt;` here."""
        answer = self._session.get(f"{self._url}/issues/{issue}", timeout=CALL_SECONDS)
        answer.raise_for_status()
        page = _Boxes()
        page.feed(answer.text)
        return "".join(page.seen)

    def _submit(self, page: str, path: str, **fields: str) -> str:
        """Send a form of that page; return where Redmine leads to."""
        form = self._session.get(self._url + page, timeout=CALL_SECONDS).text
        token = re.search(r'name="authenticity_token" value="([^"]+)"', form)
        assert token, f"Redmine shows no form at {page}"
        sent = {"authenticity_token": html.unescape(token[1]), **fields}
        answer = self._session.post(self._url + path, data=sent, timeout=CALL_SECONDS)
        answer.raise_for_status()
        return answer.url


class _Boxes(HTMLParser):
    """Collects what stands in the boxes, however deep."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = set((dict(attrs).get("class") or "").split())
        if tag == "div" and (self._depth or classes & _SHOWN):
            self._depth += 1
        if self._depth:
            values = "".join(f' {name}="{html.escape(value or "")}"' for name, value in attrs)
            self.seen.append("\n" if tag in ("p", "br", "tr") else f"<{tag}{values}>")

    def handle_endtag(self, tag: str) -> None:
        if self._depth:
            self.seen.append(f"</{tag}>")
            self._depth -= tag == "div"

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.seen.append(html.escape(data, quote=False))
