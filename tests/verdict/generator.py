"""Generates labelled scenarios from a seed: the same seed, the same scenarios.

Shares of causes, lags of posts and signs in texts follow what is published of them (docs/verdict.md names it); where
nothing is, they are judgement. What speaks for a scenario's label is never more than its texts and times.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service_event_checker.core.knowledge import Change
from service_event_checker.core.model import Alert
from service_event_checker.core.verdict import Answer
from tests.factories import NOW
from tests.verdict import texts
from tests.verdict.scenario import MASKED, MUTE, Scenario, knowing, outage, told

MINUTE = timedelta(minutes=1)
SERVICES = ("checkout", "search", "mailer", "billing", "login", "reports", "uploads", "notify", "build", "catalog")
CODES = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Vendor:
    id: str
    hosts: tuple[str, ...]
    components: tuple[str, ...]
    regions: tuple[str, ...] = ()


VENDORS = (
    Vendor("stripe", ("api.stripe.com", "files.stripe.com"), ("API", "Checkout", "Dashboard")),
    Vendor("github", ("api.github.com", "codeload.github.com"), ("API Requests", "Actions", "Pages")),
    Vendor("sendgrid", ("api.sendgrid.com", "smtp.sendgrid.net"), ("API", "Mail Sending", "Marketing Campaigns")),
    Vendor("twilio", ("api.twilio.com",), ("Programmable SMS", "Voice", "Console")),
    Vendor("openai", ("api.openai.com",), ("Chat Completions", "Embeddings", "Login")),
    Vendor("auth0", ("acme.eu.auth0.com",), ("User Authentication", "Management API")),
    Vendor("snowflake", ("acme.snowflakecomputing.com",), ("Snowflake Data Warehouse (Database)", "Snowsight")),
    Vendor("slack", ("slack.com", "hooks.slack.com"), ("Messaging", "Apps/Integrations/APIs", "Huddles")),
    Vendor("cloudflare", ("api.cloudflare.com", "acme.workers.dev"), ("API", "Workers", "R2")),
    Vendor("datadog", ("api.datadoghq.com", "trace.agent.datadoghq.com"), ("APM", "Metrics", "Web Application")),
    Vendor(
        "google_cloud", ("storage.googleapis.com", "pubsub.googleapis.com"), ("Cloud Storage", "Pub/Sub", "BigQuery")
    ),
    Vendor("shopify", ("acme.myshopify.com",), ("Admin", "Checkout", "API & Mobile")),
)
_SERVICES_OF_AWS = (
    ("dynamodb", "Amazon DynamoDB"),
    ("sqs", "Amazon SQS"),
    ("s3", "Amazon S3"),
    ("lambda", "AWS Lambda"),
)
_REGIONS_OF_AWS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2")


def scenarios(seed: int, number: int) -> list[Scenario]:
    """Return scenarios in the shares of `_KINDS`."""
    dice = random.Random(seed)
    makers = [maker for maker, share in _KINDS for _ in range(share)]
    return [dice.choice(makers)(_Making(dice, f"s{count}")) for count in range(number)]


class _Making:
    """One scenario in the making: its dice, its name, and a moment that its story turns on."""

    def __init__(self, dice: random.Random, name: str) -> None:
        self.dice = dice
        self.name = name
        self.at = NOW + dice.randrange(600) * MINUTE
        self.service = dice.choice(SERVICES)

    def alert(self, of: Sequence[tuple[str, str]], at: datetime, host: str = "", **labels: str) -> Alert:
        title, text = self.dice.choice(of)
        return self.written(title, text, at, host, **labels)

    def written(self, title: str, text: str, at: datetime, host: str = "", **labels: str) -> Alert:
        number, code = self.dice.randrange(11, 90), self.dice.choice(CODES)
        filled = text.format(service=self.service, host=host, n=number, code=code)
        return told(
            f"{self.name}-{self.service}", at, title, filled, {"service": self.service, "severity": "page", **labels}
        )

    def calling(self, vendor: Vendor, at: datetime) -> Alert:
        """Return an alert whose words or probe name a vendor's host."""
        host = self.dice.choice(vendor.hosts)
        if self.dice.random() < 0.25:
            return self.alert(texts.PROBES, at, host, instance=f"https://{host}/health", job="blackbox")
        return self.alert(texts.VENDOR_CALLS, at, host)

    def lag(self) -> timedelta:
        """Return how long after its begin an outage is posted: median 16 min, a tenth an hour and more."""
        return min(max(self.dice.lognormvariate(2.75, 0.85), 1.0), 121.0) * MINUTE

    def outage(self, vendor: Vendor, begun: datetime, **more: str) -> Alert:
        """Return a vendor's post. Half are dated back to the begin, by pages that round to five minutes at times."""
        posted = begun + self.lag()
        start = begun if self.dice.random() < 0.5 else posted
        if start == begun and self.dice.random() < 0.4:
            start += self.dice.choice((-5, 3, 5)) * MINUTE
        component = more.pop("component", "") or (
            self.dice.choice(vendor.components) if self.dice.random() < 0.6 else ""
        )
        title = self.dice.choice(("Elevated error rates", "Degraded performance", "Increased latency", "API errors"))
        return outage(self.name, vendor.id, title, start=start, posted=posted, component=component, **more)

    def noise(self, but: str) -> list[Alert]:
        """Return outages of other vendors: one or two of forty always have something open."""
        others = [vendor for vendor in VENDORS if vendor.id != but]
        some = self.dice.sample(others, self.dice.choice((0, 0, 1, 1, 2, 3)))
        return [self.outage(each, self.at - self.dice.randrange(5, 400) * MINUTE) for each in some]

    def onset(self) -> timedelta:
        """Return how long after a vendor's begin our first alert fires: ragged, mostly within a quarter of an hour."""
        return min(self.dice.expovariate(1 / 12), 150.0) * MINUTE

    def siblings(self, vendor: Vendor) -> tuple[Alert, ...]:
        found = []
        for _ in range(self.dice.choice((0, 0, 1, 2))):
            other = _Making(self.dice, f"{self.name}-{len(found)}")
            found.append(other.calling(vendor, self.at + self.dice.randrange(-15, 15) * MINUTE))
        return tuple(found)

    def done(self, kind: str, want: Answer, alert: Alert, them: Sequence[Alert] = (), **more: object) -> Scenario:
        theirs = want in (Answer.VENDOR, Answer.BOTH)
        truth = frozenset(each.key for each in them) if theirs else frozenset()
        but = them[0].source if them else str(more.pop("but", ""))
        outages = (*them, *self.noise(but))
        depends = more.pop("depends", {})
        known = knowing(depends, changes=more.pop("changes", ()), unreadable=more.pop("unreadable", ()))  # type: ignore[arg-type]
        return Scenario(
            name=self.name,
            kind=kind,
            want=want,
            alert=alert,
            outages=outages,
            truth=truth,
            known=known,
            siblings=more.pop("siblings", ()),  # type: ignore[arg-type]
        )


def _named(make: _Making) -> Scenario:
    vendor = make.dice.choice(VENDORS)
    begun = make.at
    alert = make.calling(vendor, begun + make.onset())
    depends = {make.service: [vendor.id]} if make.dice.random() < 0.3 else {}
    return make.done(
        "named", Answer.VENDOR, alert, [make.outage(vendor, begun)], depends=depends, siblings=make.siblings(vendor)
    )


def _declared(make: _Making) -> Scenario:
    """A vendor's outage that shows in a generic alert of a service that depends on it."""
    vendor = make.dice.choice(VENDORS)
    component = make.dice.choice(vendor.components)
    placed = make.dice.random() < 0.5
    on = f"{vendor.id}:{component}" if placed else vendor.id
    them = make.outage(vendor, make.at, component=component)
    return make.done(
        "declared",
        Answer.VENDOR,
        make.alert(texts.GENERIC, make.at + make.onset()),
        [them],
        depends={make.service: [on]},
    )


def _region(make: _Making) -> Scenario:
    """AWS in one region, and our errors there, whether told by a label or by the host alone."""
    short, component = make.dice.choice(_SERVICES_OF_AWS)
    region = make.dice.choice(_REGIONS_OF_AWS)
    aws = Vendor("aws", (), (component,))
    labels = make.dice.choice(({"region": region, "account_id": "123456789012"}, {}, {"region": "sa-east-1"}))
    alert = make.alert(texts.AWS_CALLS, make.at + make.onset(), f"{short}.{region}.amazonaws.com", **labels)
    return make.done("regional", Answer.VENDOR, alert, [make.outage(aws, make.at, component=component, region=region)])


def _other_region(make: _Making) -> Scenario:
    """AWS has an outage in a region, and our errors are of another."""
    short, component = make.dice.choice(_SERVICES_OF_AWS)
    here, there = make.dice.sample(_REGIONS_OF_AWS[1:], 2)
    aws = Vendor("aws", (), (component,))
    labels = make.dice.choice(({"region": here}, {"zone": f"{here}a"}, {}))
    alert = make.alert(texts.AWS_CALLS, make.at + make.onset(), f"{short}.{here}.amazonaws.com", **labels)
    return make.done(
        "other region", Answer.UNKNOWN, alert, [make.outage(aws, make.at, component=component, region=there)]
    )


def _early(make: _Making) -> Scenario:
    """Our alert comes minutes before the start that the vendor gives."""
    vendor = make.dice.choice(VENDORS)
    begun = make.at + make.dice.randrange(1, 14) * MINUTE
    them = outage(make.name, vendor.id, "Elevated errors", start=begun, posted=begun + make.lag())
    return make.done("early", Answer.VENDOR, make.calling(vendor, make.at), [them], siblings=make.siblings(vendor))


def _over(make: _Making) -> Scenario:
    """The outage had been over for long when the alert began."""
    vendor = make.dice.choice(VENDORS)
    end = make.at - make.dice.randrange(15, 110) * MINUTE
    them = outage(make.name, vendor.id, "Degraded", start=end - 40 * MINUTE, posted=end - 30 * MINUTE, end=end)
    return make.done("over", Answer.UNKNOWN, make.calling(vendor, make.at), [them])


def _lying(make: _Making) -> Scenario:
    """The vendor is down and its page is green, or it took its post back: nobody can know it."""
    vendor = make.dice.choice(VENDORS)
    depends = {make.service: [vendor.id]} if make.dice.random() < 0.4 else {}
    return make.done("green page", Answer.UNKNOWN, make.calling(vendor, make.at), depends=depends, but=vendor.id)


def _unreadable(make: _Making) -> Scenario:
    vendor = make.dice.choice(VENDORS)
    return make.done(
        "unreadable page",
        Answer.UNKNOWN,
        make.alert(texts.GENERIC, make.at),
        depends={make.service: [vendor.id]},
        unreadable=[vendor.id],
        but=vendor.id,
    )


def _unrelated(make: _Making) -> Scenario:
    """An alert that tells nothing, while vendors that it does not hang on have outages."""
    vendor = make.dice.choice(VENDORS)
    return make.done(
        "unrelated", Answer.UNKNOWN, make.alert(texts.GENERIC, make.at), [make.outage(vendor, make.at - 9 * MINUTE)]
    )


def _other_component(make: _Making) -> Scenario:
    vendor = make.dice.choice([each for each in VENDORS if len(each.components) > 2])
    ours, theirs = make.dice.sample(vendor.components, 2)
    them = make.outage(vendor, make.at - 10 * MINUTE, component=theirs)
    return make.done(
        "other component",
        Answer.UNKNOWN,
        make.alert(texts.GENERIC, make.at),
        [them],
        depends={make.service: [f"{vendor.id}:{ours}"]},
    )


def _own(make: _Making) -> Scenario:
    vendor = make.dice.choice(VENDORS)
    depends = {make.service: [vendor.id]} if make.dice.random() < 0.5 else {}
    return make.done("own cause", Answer.US, make.alert(texts.OWN, make.at), depends=depends, but=vendor.id)


def _all_well(make: _Making) -> Scenario:
    """A generic alert whose declared vendors are all well."""
    vendor = make.dice.choice(VENDORS)
    return make.done(
        "vendors well",
        Answer.US,
        make.alert(texts.GENERIC, make.at),
        depends={make.service: [vendor.id]},
        but=vendor.id,
    )


def _masked_cause(make: _Making) -> Scenario:
    """Our own cause in the words, while a vendor that the service depends on has an outage."""
    vendor = make.dice.choice(VENDORS)
    them = make.outage(vendor, make.at - make.dice.randrange(0, 60) * MINUTE)
    return make.done(MASKED, Answer.US, make.alert(texts.OWN, make.at), [them], depends={make.service: [vendor.id]})


def _masked_account(make: _Making) -> Scenario:
    """Our account is refused by a vendor that has an outage of something else at the time."""
    vendor = make.dice.choice(VENDORS)
    them = make.outage(vendor, make.at - make.dice.randrange(0, 60) * MINUTE)
    alert = make.alert(texts.ACCOUNT, make.at, make.dice.choice(vendor.hosts))
    return make.done(MASKED, Answer.US, alert, [them])


def _masked_change(make: _Making) -> Scenario:
    """We deployed minutes before, and the vendor has an outage at the same time."""
    vendor = make.dice.choice(VENDORS)
    them = make.outage(vendor, make.at - make.dice.randrange(0, 60) * MINUTE)
    change = Change(make.service, make.at - make.dice.randrange(1, 14) * MINUTE, "release 4.2")
    alert = make.calling(vendor, make.at) if make.dice.random() < 0.5 else make.alert(texts.GENERIC, make.at)
    return make.done(MASKED, Answer.US, alert, [them], depends={make.service: [vendor.id]}, changes=[change])


def _masked_limit(make: _Making) -> Scenario:
    """We run into a limit of a vendor that has an outage of something else."""
    vendor = make.dice.choice(VENDORS)
    them = make.outage(vendor, make.at - make.dice.randrange(0, 60) * MINUTE)
    alert = make.alert(texts.LIMITS, make.at, make.dice.choice((vendor.hosts[0], "registry")))
    return make.done(MASKED, Answer.US, alert, [them], depends={make.service: [vendor.id]})


def _limited(make: _Making) -> Scenario:
    """A vendor's outage in which it refuses calls as too many."""
    vendor = make.dice.choice(VENDORS)
    alert = make.alert(texts.LIMITS, make.at + make.onset(), vendor.hosts[0])
    return make.done("limited by them", Answer.VENDOR, alert, [make.outage(vendor, make.at)])


def _masked_mute(make: _Making) -> Scenario:
    """Our own fault, of which neither words nor changes tell, during an outage of a vendor that is declared."""
    vendor = make.dice.choice(VENDORS)
    them = make.outage(vendor, make.at - make.dice.randrange(0, 60) * MINUTE)
    return make.done(MUTE, Answer.US, make.alert(texts.GENERIC, make.at), [them], depends={make.service: [vendor.id]})


def _both(make: _Making) -> Scenario:
    """A vendor's errors, and what they broke on our side, in one text."""
    vendor = make.dice.choice(VENDORS)
    _, call = make.dice.choice(texts.VENDOR_CALLS)
    title, own = make.dice.choice(texts.OWN)
    alert = make.written(title, f"{own}\nLast error: {call}", make.at + make.onset(), make.dice.choice(vendor.hosts))
    return make.done("both", Answer.BOTH, alert, [make.outage(vendor, make.at)], siblings=make.siblings(vendor))


#: in parts of a hundred
_KINDS: tuple[tuple[Callable[[_Making], Scenario], int], ...] = (
    (_named, 22),
    (_declared, 8),
    (_region, 7),
    (_early, 4),
    (_own, 13),
    (_all_well, 5),
    (_masked_cause, 5),
    (_masked_account, 5),
    (_masked_change, 4),
    (_masked_limit, 2),
    (_masked_mute, 1),
    (_limited, 1),
    (_both, 6),
    (_lying, 4),
    (_unreadable, 2),
    (_unrelated, 4),
    (_other_region, 3),
    (_other_component, 2),
    (_over, 2),
)
