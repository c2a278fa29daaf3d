"""What an alert's own words tell of its cause: hosts, clients and error codes of vendors; signs of a cause of our own.

Links and images are no words of the alert: a runbook on a vendor's site says nothing of that vendor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from service_event_checker.core.knowledge import Knowledge, Tie
from service_event_checker.core.model import Alert
from service_event_checker.core.rules import names_of
from service_event_checker.core.verdict import Clue, Evidence

TEXT_MAX = 4_000  # characters of an alert that are read
HOSTS_MAX = 20
_PROBED = ("instance", "target", "probe_target", "host", "hostname", "endpoint", "url", "address", "server_name")
_REGION_LABELS = ("region", "aws_region", "zone", "location", "topology_kubernetes_io_region", "availability_zone")
_SERVICE_LABELS = ("service", "app", "namespace", "team", "job_name", "instance")
_TEXTS = ("summary", "description", "message")
_HOST = re.compile(r"(?<![\w@./-])(?:[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\.)+[a-z]{2,24}(?![\w-])")
_URL = re.compile(r"https?://([^\s/\"'<>)\]]+)(/[^\s\"'<>)\]]*)?")
#: paths and hosts that people read, not programs
_PAGE = re.compile(r"/(blob|wiki|tree|docs?|runbooks?|d|explore|issues|pull)(/|$)|\.(md|html?|pdf)$")
_PAGE_HOST = re.compile(r"^(docs?|console|dashboard|portal|app|status|wiki|grafana|runbooks?)\.")
_MEMORY = (
    r"oom-?kill|\boom\b|out ?of ?(configured ?)?(max)?memory|memory (usage|pressure|limit|is filling|leak)|heap space"
)
_DISK = (
    r"no space left|disk (is )?(almost )?full|disk (usage|space)|filesystem|inodes?\b|persistentvolume"
    r"|(available|out of) space|running out of (disk|space)"
)
_CERTIFICATE = r"certificate\b.{0,80}\b(expire[sd]?|expiring|unknown authority)|\bx509\b|cert(ificate)? ?expir"
_NODE = (
    r"node ?not ?ready|node\S*( has been| is)? (unready|not ready|unreachable|down)\b|kubelet|evicted|\betcd"
    r"|too many open files|file ?descriptors?"
)
#: "Traceback" is none of these: with it, a program prints a vendor's failure as well
_CRASH = (
    r"crash ?loop|segmentation fault|segfault|panic:|(null|nil) ?pointer|core dumped|stack ?overflow"
    r"|unhandled exception"
    r"|(module|class) ?not ?found|no module named|\b(type|attribute|name|index|import|syntax)error\b"
)
_CPU = r"cpu (usage|throttl|steal|load|is)|throttling of cpu|high cpu|load average"
_CONFIGURED = (
    r"(invalid|bad|wrong|missing|broken) config|config(uration)? (error|invalid|missing|change)|misconfigur"
    r"|feature flag|\bkeyerror\b|(variable|setting|option) \S+ is (not set|missing)"
    r"|migration (\S+ )?failed|rollout (has )?(failed|stuck)"
)
_DATABASE = (
    r"too many connections|connection pool|replica(tion)? lag|slow quer"
    r"|(column|table|relation) \S+ does not exist|unknown column|undefined(column|table)|wraparound|duplicate key"
)
_ACCOUNT = (
    r"(http|status|code|error)\W{0,3}40[013]\b|\b40[13] (unauthorized|forbidden)|\b40[013] (client error|bad request)"
    r"|\bunauthorized\b|\bforbidden\b|access ?denied|not authorized|bad credentials|permission denied"
    r"|authentication failed"
)
_LIMIT = r"\b429\b|too many requests|toomanyrequests|rate limit"
_KEYS = (
    r"invalid (api |access )?key|invalidaccesskey|signaturedoesnotmatch|invalid_(client|grant)|expiredtoken"
    r"|expired (token|key|secret)|(token|key|keys|secret|credentials?) (has |have |is |are )?expired"
    r"|quota (is |was )?exceeded|exceeded your (current )?quota|insufficient_quota"
    r"|billing (hard limit|is (disabled|not enabled))|payment required"
)


@dataclass(frozen=True, slots=True)
class _Sign:
    """A sign of a cause of our own. For speed, its pattern is tried only where one of `words` stands."""

    words: tuple[str, ...]
    pattern: re.Pattern[str]
    weight: float
    kind: Clue
    what: str


def _sign(words: str, pattern: str, weight: float, kind: Clue, what: str) -> _Sign:
    return _Sign(tuple(words.split()), re.compile(pattern), weight, kind, what)


_SIGNS = (
    _sign("oom memory heap", _MEMORY, -2.5, Clue.OWN_CAUSE, "our memory"),
    _sign("space disk filesystem inode persistentvolume", _DISK, -2.5, Clue.OWN_CAUSE, "our disk"),
    _sign("cert x509", _CERTIFICATE, -2.5, Clue.OWN_CAUSE, "a certificate"),
    _sign("lock", r"deadlock|lock wait|could not obtain lock", -2.5, Clue.OWN_CAUSE, "a lock"),
    _sign("node kubelet evicted etcd files descriptor", _NODE, -2.5, Clue.OWN_CAUSE, "a node of ours"),
    _sign(
        "crash seg panic: pointer dumped overflow unhandled found module error",
        _CRASH,
        -2.5,
        Clue.OWN_CAUSE,
        "a crash of our program",
    ),
    _sign("cpu load", _CPU, -2.0, Clue.OWN_CAUSE, "our processor time"),
    _sign("config flag keyerror set missing migration rollout", _CONFIGURED, -2.5, Clue.OWN_CAUSE, "our configuration"),
    _sign(
        "connection replica slow exist column undefined wraparound duplicate",
        _DATABASE,
        -2.5,
        Clue.OWN_CAUSE,
        "our database",
    ),
    _sign("40 authori forbidden denied credentials authentication", _ACCOUNT, -2.0, Clue.OWN_ACCOUNT, "our account"),
    _sign("key signature invalid_ expired quota billing payment", _KEYS, -2.0, Clue.OWN_ACCOUNT, "our account"),
    _sign("429 too rate", _LIMIT, -0.8, Clue.RATE_LIMIT, "a limit that we have reached"),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the words of an alert tell. `named`: by vendor, what names it and how; `text`: its words in lower case."""

    named: Mapping[str, tuple[tuple[Tie, str], ...]]
    declared: Mapping[str, tuple[Tie, ...]]
    own: tuple[Evidence, ...]
    regions: frozenset[str]
    service: str
    subject: str
    text: str


def read(alert: Alert, known: Knowledge) -> Reading:
    """Read an alert's words: title, summary, description, and the labels that name what is probed."""
    words = _words(alert)
    text = words.casefold()
    named: dict[str, tuple[tuple[Tie, str], ...]] = {}
    for tie, how in _ties(words, text, known):
        if all(tie != earlier for earlier, _ in named.get(tie.vendor, ())):
            named[tie.vendor] = (*named.get(tie.vendor, ()), (tie, how))
    declared: dict[str, tuple[Tie, ...]] = {}
    for tie in _declared(alert, known):
        declared[tie.vendor] = (*declared.get(tie.vendor, ()), tie)
    labels = [alert.labels[name] for name in _REGION_LABELS if name in alert.labels]
    hosted = [tie.region for ties in named.values() for tie, _ in ties if tie.region]
    hosted += [part for ties in named.values() for _, how in ties for part in how.split(".")]
    return Reading(
        named=named,
        declared=declared,
        own=tuple(_own(text)),
        regions=known.regions.named([*labels, *hosted]),
        service=alert.labels.get("service", ""),
        subject=next((alert.labels[name] for name in _SERVICE_LABELS if alert.labels.get(name)), alert.key),
        text=text,
    )


def _words(alert: Alert) -> str:
    """Return what the alert says of itself, without links for people and without images."""
    texts = [alert.title, alert.description]
    texts += [alert.annotations[name] for name in _TEXTS if name in alert.annotations]
    texts += [alert.labels[name] for name in _PROBED if name in alert.labels]
    return _URL.sub(_readable, "\n".join(dict.fromkeys(texts)))[:TEXT_MAX]


def _readable(url: re.Match[str]) -> str:
    host, path = url[1].rpartition("@")[2].casefold(), url[2] or ""
    return " " if _PAGE.search(path) or _PAGE_HOST.search(host) else f" {host} {path} "


def _ties(words: str, text: str, known: Knowledge) -> Iterator[tuple[Tie, str]]:
    hosts = dict.fromkeys(_HOST.findall(text))
    for host in list(hosts)[:HOSTS_MAX]:
        if tie := known.host(host):
            yield tie, host
    for pattern, tie in known.errors:
        if found := pattern.search(words):
            yield tie, found[0]


def _declared(alert: Alert, known: Knowledge) -> Iterable[Tie]:
    if not known.dependencies:
        return ()
    names = names_of(alert)
    met = (each for each in known.dependencies if all(matcher.matches(names) for matcher in each.matchers))
    return dict.fromkeys(tie for each in met for tie in each.on)


def _own(text: str) -> Iterator[Evidence]:
    """Yield the signs of a cause of our own, one of each kind: several words say the same once more."""
    seen: set[Clue] = set()
    for sign in _SIGNS:
        if sign.kind in seen or not any(word in text for word in sign.words):
            continue
        if found := sign.pattern.search(text):
            seen.add(sign.kind)
            yield Evidence(f'The alert speaks of {sign.what}: "{found[0]}"', sign.weight, sign.kind)
