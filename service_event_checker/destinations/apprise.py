"""The services that have no kind of their own (Discord, Mattermost, Google Chat, ntfy, …), through Apprise.

Apprise makes its own connections: our proxy, our byte cap and our addresses' checks do not hold for them. What can be
done before: no redirects, a deadline, and no address that only the platform has. It says that a message was sent, and
no more: for some services also if it was not. https://github.com/caronc/apprise/wiki
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, SecretStr

from service_event_checker.config.models import MAIL_BUDGET, secret
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert, Budget, Delivery, Link
from service_event_checker.core.ports import ProbeResult
from service_event_checker.core.vocabulary import Family, Severity, Verb
from service_event_checker.http.guard import is_platform_address, system_addresses
from service_event_checker.remote.progress import Progress
from service_event_checker.remote.robots.config import MessageConfig
from service_event_checker.remote.robots.robot import VERBS, new_link
from service_event_checker.render.markup import Markup, atoms
from service_event_checker.render.message import HEADLINE, HEADLINE_MAX, Message, compose
from service_event_checker.render.own import Form

if TYPE_CHECKING:
    import apprise

PAUSE = 60.0  # seconds after a 429, whose Retry-After Apprise does not tell
ADDRESSES_MAX = 20
TEXT, TEXT_MAX = "txt", 20_000  # the part that templates of users may write, in characters
#: Apprise reports success for what these refuse with HTTP 200 -> the kind to use instead
_OWN_KINDS = {
    "dingtalk": "dingtalk",
    "wecombot": "wecom",
    "tgram": "telegram",
    "workflows": "teams",
    "workflow": "teams",
}
#: services that page, call or open tickets; and Apprise's own server, behind which may be any of them
_WAKES = frozenset(
    {"opsgenie", "pagerduty", "pagertree", "splunk", "victorops", "signl4", "spike", "squadcast", "ilert", "incidentio"}
    | {"firehydrant", "goalert", "betterstack", "xmatters", "lfg", "dapnet", "jira", "github", "apprise"}
)
_EMERGENCY = frozenset({"emergency", "e", "2"})  # of Pushover: repeated until somebody answers
_STATUS = re.compile(r"\berror=(\d{3})\b")
_PLAIN = Markup()


def _separate(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+(?=[A-Za-z0-9]+://)|\s+", text.strip()) if part]


def _usable(value: SecretStr | None) -> SecretStr | None:
    """Check the addresses; none is named in an error, for they hold tokens. Raises ValueError."""
    for number, address in enumerate(found := _separate(secret(value)), 1):
        scheme, mark, _ = address.partition("://")
        if not mark:
            raise ValueError(f"number {number} is not an address of Apprise. Write it like discord://id/token")
        if own := _OWN_KINDS.get(scheme.lower()):
            raise ValueError(f'number {number}: use a destination of the kind "{own}"; Apprise misses its errors')
        if parse_qs(urlsplit(address).query).get("verify", ["yes"])[-1].lower() not in ("yes", "true", "1"):
            raise ValueError(f"number {number}: verify=no would send to anybody. Leave it out")
    if len(found) > ADDRESSES_MAX:
        raise ValueError(f"has more than {ADDRESSES_MAX} addresses")
    return value


class Config(MessageConfig):
    """`urls`: Apprise's addresses, with spaces, commas or line ends between. They hold tokens."""

    DISPLAY_NAME: ClassVar[str] = ""
    RATE: ClassVar[tuple[float, int]] = (0.2, 3)
    STORM: ClassVar[Budget | None] = MAIL_BUDGET
    NEEDS: ClassVar[tuple[str, ...]] = ("urls",)

    kind: Literal["apprise"] = "apprise"
    urls: Annotated[SecretStr | None, AfterValidator(_usable)] = None
    """addresses, as `"env:NAME"`, with spaces, commas or line ends between; at most 20"""

    def lacks(self) -> str:
        return (
            ""
            if find_spec("apprise")
            else "the package apprise is not installed: pip install -r requirements-apprise.txt"
        )


class Adapter:
    """Imports Apprise with the first message: that takes a third of a second and 40 MB. Safe for several threads."""

    family = Family.MAIL  # an address may be a pager or a telephone: test alerts are dry runs
    verbs = VERBS

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self.verbs = VERBS if config.updates else VERBS - {Verb.UPDATE}
        self._addresses = _separate(secret(config.urls))
        self._progress = Progress[int]()

    def deliver(self, delivery: Delivery, alert: Alert, link: Link | None) -> Link | None:
        """Send the message to every address that does not have it."""
        told = compose(delivery, alert, datetime.now(UTC))
        done = self._progress.of(delivery.id)
        errors = []
        for number, address in enumerate(self._addresses, 1):
            if number in done:
                continue
            try:
                self._send(number, address, told)
                done.add(number)
            except DeliveryError as error:
                errors.append(error)
        if errors:
            raise next((error for error in errors if not error.permanent), errors[0])
        self._progress.finish(delivery.id)
        return link or new_link(delivery)

    def probe(self) -> ProbeResult:
        """Read the addresses; Apprise has no call that tells more without a message."""
        services = [self._service(number, address)[0] for number, address in enumerate(self._addresses, 1)]
        named = ", ".join(dict.fromkeys(str(service.service_name) for service in services))
        why = self.test_refusal() or "use --send (API: send=true), which sends one message marked TEST to each"
        return ProbeResult(unproven=(f"whether these take messages: {named}; {why}",))

    def test_refusal(self) -> str:
        """Return why no test is sent: a pager wakes somebody, a tracker keeps a ticket."""
        for number, address in enumerate(self._addresses, 1):
            scheme, _, rest = address.partition("://")
            urgent = parse_qs(urlsplit(f"x://{rest}").query).get("priority", [""])[-1].lower() in _EMERGENCY
            if scheme.lower().removesuffix("s") in _WAKES or scheme.lower() in _WAKES or urgent:
                return f"address {number} ({scheme.lower()}) may page somebody or open a ticket, so no test is sent"
        return ""

    def preview(self, delivery: Delivery, alert: Alert) -> dict[str, str]:
        """Return the title and the text."""
        told = compose(delivery, alert, datetime.now(UTC))
        return {HEADLINE: told.headline, TEXT: _body(told)}

    @staticmethod
    def forms(_config: Config) -> Mapping[str, Form]:
        return {HEADLINE: Form(line=True, limit=HEADLINE_MAX), TEXT: Form(limit=TEXT_MAX)}

    def dry_run(self, delivery: Delivery, alert: Alert) -> str:
        """Render the message that `deliver` would send."""
        told = compose(delivery, alert, datetime.now(UTC))
        return f"message to {len(self._addresses)} address(es): {told.headline}"

    def _send(self, number: int, address: str, told: Message) -> None:
        service, client = self._service(number, address)
        body = _body(told)
        seconds = self.config.timeout.total_seconds()
        kind = _type(told)
        said = {"title": told.headline, "body": body, "notify_type": kind, "body_format": "text"}
        result = client.notify(**said, timeout=seconds)
        if not result:  # never its status, where success is 0
            raise _failure(f"address {number} ({service.service_name})", result)

    def _service(self, number: int, address: str) -> tuple[Any, apprise.Apprise]:
        """Return the service behind an address, checked. Raises DeliveryError if it must not, or cannot, be used."""
        import apprise  # late: it is large, and an extra

        asset = apprise.AppriseAsset(http_redirects=False)
        service = apprise.Apprise.instantiate(address, asset=asset)
        if service is None:
            raise DeliveryError(Reason.NOT_CONFIGURED, f"address {number} is not one that Apprise knows")
        host = str(getattr(service, "host", None) or "")
        if host and _is_forbidden(host):
            raise DeliveryError(Reason.FORBIDDEN_ADDRESS, f"address {number} leads to an address of this platform")
        client = apprise.Apprise(asset=asset)
        client.add(service)
        return service, client


def _body(told: Message) -> str:
    return told.own.get(TEXT) or "".join(atoms(told, _PLAIN, headline=False)).strip() or told.headline


def _is_forbidden(host: str) -> bool:
    """Whether a host is, or resolves to, what only the platform has; a token in its place resolves to nothing."""
    try:
        return any(map(is_platform_address, system_addresses(host.strip("[]"), 443)))
    except (OSError, UnicodeError, ValueError):
        return False


def _type(told: Message) -> Any:
    if told.over:
        return "success"
    return {Severity.CRITICAL: "failure", Severity.ERROR: "failure", Severity.WARNING: "warning"}.get(
        told.severity, "info"
    )


def _failure(where: str, result: Any) -> DeliveryError:
    """Return what can be learned of a failure: Apprise logs an HTTP status if there was one, and no more."""
    lines = [str(entry.message) for service in result for attempt in service for entry in attempt]
    status = next((int(found[1]) for line in lines if (found := _STATUS.search(line))), 0)
    detail = f"{where}: HTTP {status}" if status else f"{where}: Apprise says that it failed"
    if status == 429:
        return DeliveryError(Reason.RATE_LIMITED, detail, retry_after=PAUSE)
    if status in (401, 403, 404, 410):
        return DeliveryError(Reason.FORBIDDEN, f"{detail}; check this address in `urls`")
    if 400 <= status < 500:
        return DeliveryError(Reason.REFUSED, detail, permanent=True)
    return DeliveryError(Reason.SERVER_ERROR if status else Reason.TIMEOUT, detail)
