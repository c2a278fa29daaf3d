"""Asking a Microsoft API with a token: one answer, or a list that comes in pages. What they say is the caller's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from service_checkers.reading.fetch import source_error
from service_event_checker.config.models import CheckerConfig
from service_event_checker.core.errors import Reason, SourceError
from service_event_checker.http.address import origin
from service_event_checker.http.answer import HttpError, json_body, parse_json
from service_event_checker.http.client import Http
from service_event_checker.http.entra.identity import Identity, Way
from service_event_checker.http.entra.token import EntraError, Tokens, identity_warning

MAX_BYTES = 16 * 1024 * 1024  # of one page
PAGES_MAX = 25
_CODE = re.compile(r"[A-Za-z0-9_.]{1,80}")


class EntraConfig(Identity, CheckerConfig):
    """What a checker that asks with a token has besides. `scope` differs in sovereign clouds, like `authority`."""

    ENV: ClassVar[dict[str, tuple[str, ...]]] = {**Identity.ENV, "user_object_id": ("USER_OBJECT_ID",)}

    user_object_id: str = ""
    scope: str = ""

    def lacks(self) -> str:
        """Return why no token can be had, "" if one can be asked for."""
        if self.ways():
            return ""
        unset = self.unset(Way.SERVICE_PRINCIPAL)
        listed = " and ".join([*filter(None, [", ".join(unset[:-1])]), unset[-1]])
        return f"{listed} {'is' if len(unset) == 1 else 'are'} not set, and there is no managed identity"

    def tokens(self) -> Tokens:
        """Return who gets the tokens: an application's secret is meant for the checkers, wherever they run."""
        ways = self.ways()
        way = Way.SERVICE_PRINCIPAL if Way.SERVICE_PRINCIPAL in ways or not ways else ways[0]
        return Tokens(self, way, self.scope, self.timeout)


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries of all pages of a list; `whole`: there were no more pages than we read."""

    entries: list[Any]
    whole: bool


class Api:
    """One API below `base`, asked in the name of one identity. Redirects are not followed: the token stays here."""

    def __init__(self, source: str, base: str, config: EntraConfig, tokens: Tokens | None = None) -> None:
        self._source = source
        self._base = base
        self._config = config
        self._tokens = tokens or config.tokens()
        self._http = Http(base, timeout=config.timeout.total_seconds(), max_bytes=MAX_BYTES)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """Return the JSON value at `url`; a refused token is replaced once. Raises SourceError."""
        token = self._token()
        try:
            return self._asked(url, token, headers)
        except HttpError as error:
            if error.status != 401:
                raise self._trouble(error) from None
        try:
            return self._asked(url, self._token(refused=token), headers)
        except HttpError as error:
            raise self._trouble(error) from None

    def listed(self, url: str, next_key: str, headers: Mapping[str, str] | None = None) -> Listing:
        """Return what "value" holds on each page; `next_key` names the address of the next. Raises SourceError."""
        entries: list[Any] = []
        asked: set[str] = set()
        address = urljoin(f"{self._base.rstrip('/')}/", url.lstrip("/"))
        while len(asked) < PAGES_MAX:
            asked.add(address)
            page = self.get(address, headers)
            entries += values(self._source, page)
            following = page.get(next_key)
            if not following:
                return Listing(entries, whole=True)
            address = self._checked(following)
            if address in asked:
                raise SourceError(self._source, Reason.GARBAGE, f'"{next_key}" leads back to a page that was read')
        return Listing(entries, whole=False)

    def warnings(self) -> list[str]:
        """Return what is odd about the identity that we ask with. Raises SourceError."""
        warning = identity_warning(self._token(), self._config.user_object_id)
        return [warning] if warning else []

    def _token(self, refused: str = "") -> str:
        try:
            return self._tokens.token(refused=refused)
        except EntraError as error:
            raise SourceError(self._source, error.reason, error.detail, retry_after=error.retry_after) from None

    def _asked(self, url: str, token: str, headers: Mapping[str, str] | None) -> Any:
        return json_body(self._http.send("GET", url, headers={**(headers or {}), "Authorization": f"Bearer {token}"}))

    def _checked(self, following: Any) -> str:
        """Return the next page's address if it is of the same server: a token is shown to nobody else."""
        try:
            same = isinstance(following, str) and origin(following) == origin(self._base)
        except ValueError:
            same = False
        if not same:
            raise SourceError(self._source, Reason.GARBAGE, "the next page is at another server, or nowhere")
        return str(following)

    def _trouble(self, error: HttpError) -> SourceError:
        translated = source_error(self._source, error)
        if error.status not in (401, 403):
            return translated
        return SourceError(self._source, translated.reason, f"{translated.detail}{_code(error.body)}")


def values(source: str, page: Any) -> list[Any]:
    """Return the list of one page. Raises SourceError if it is not a page."""
    if not isinstance(page, dict) or not isinstance(page.get("value"), list):
        raise SourceError(source, Reason.GARBAGE, 'the list "value" is missing')
    return list(page["value"])


def split_address(url: str, path: re.Pattern[str]) -> tuple[str, str, str]:
    """Split an address into base, the endpoint's path as `path` finds it at the end ("" for none), and query."""
    parts = urlsplit(url)
    found = path.search(parts.path)
    before = parts.path[: found.start()] if found else parts.path
    return f"{parts.scheme}://{parts.netloc}{before.rstrip('/')}", found.group() if found else "", parts.query


def _code(body: bytes) -> str:
    """Return the code of an error's body, {"error": {"code": …}}, as a piece of a sentence; "" for none."""
    try:
        answer = parse_json(body)
    except HttpError:
        return ""
    error = answer.get("error") if isinstance(answer, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return f", {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
