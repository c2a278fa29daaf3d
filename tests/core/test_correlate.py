"""Is it us, or is it them? Each kind of evidence by a table; what must never count; and what always holds."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_event_checker.core.clues import read
from service_event_checker.core.correlate import UNDATED, Siblings, judge
from service_event_checker.core.knowledge import Change, Dependency, Knowledge, Regions, Tie
from service_event_checker.core.matchers import parse
from service_event_checker.core.model import Alert
from service_event_checker.core.verdict import Answer, Clue, Verdict
from service_event_checker.core.vocabulary import Kind, Status
from tests.factories import NOW, alert

MINUTE = timedelta(minutes=1)
REGIONS = Regions(
    {
        **{name: "us-east-1" for name in ("us-east-1", "n. virginia", "us east (n. virginia)")},
        **{name: "eu-central-1" for name in ("eu-central-1", "frankfurt", "eu (frankfurt)")},
        "europe-west1": "europe-west1",
    },
    frozenset({"us-east-1"}),
)
KNOWN = Knowledge(
    dependencies=(
        Dependency(parse('service="build"'), (Tie("github", component="Actions"),)),
        Dependency(parse('service="shop"'), (Tie("stripe"),)),
        Dependency(parse('service="data"'), (Tie("aws", region="eu-central-1"),)),
    ),
    hosts={
        "api.github.com": Tie("github", component="API Requests"),
        "*.actions.githubusercontent.com": Tie("github", component="Actions"),
        "*.stripe.com": Tie("stripe"),
        "dynamodb.eu-central-1.amazonaws.com": Tie("aws", component="DynamoDB", region="eu-central-1"),
    },
    errors=((re.compile(r"AADSTS\d{5}"), Tie("entra")),),
    regions=REGIONS,
    vendors={"github": "GitHub", "stripe": "Stripe", "aws": "AWS"},
)


def ours(**changes: Any) -> Alert:
    return alert(**{"kind": Kind.ALERT, "source": "alertmanager", "started_at": NOW, "labels": {}, **changes})


def outage(source: str, **changes: Any) -> Alert:
    labels = {"component": changes.pop("component", ""), "region": changes.pop("region", "")}
    start = changes.pop("started_at", NOW - 4 * MINUTE)
    return alert(
        **{
            "key": f"key-of-{source}",
            "source": source,
            "kind": Kind.OUTAGE,
            "internal_id": f"{source.upper()}-1",
            "title": "Something is wrong",
            "started_at": start,
            "opened_at": start,
            "labels": labels,
            **changes,
        }
    )


def verdict_on(told: Alert, *outages: Alert, known: Knowledge = KNOWN, **more: Any) -> Verdict:
    return judge(told, read(told, known), outages, known, NOW, **more)


BUILD, SHOP, DATA = {"service": "build"}, {"service": "shop"}, {"service": "data"}
STRIPE_DOWN = {"title": "Payments fail", "description": "api.stripe.com: HTTP 503"}


@pytest.mark.parametrize(
    ("told", "of", "answer", "said"),
    [
        # a declared dependency whose component is affected, in time
        ({"labels": BUILD}, {"source": "github", "component": "Actions"}, Answer.VENDOR, "depends on GitHub Actions"),
        ({"labels": BUILD}, {"source": "github"}, Answer.VENDOR, "the outage names no place"),
        # another component of the same vendor
        ({"labels": BUILD}, {"source": "github", "component": "Pages"}, Answer.UNKNOWN, "the outage is of Pages"),
        # the vendor's host in the alert's words, without any configuration
        (STRIPE_DOWN, {"source": "stripe"}, Answer.VENDOR, "names api.stripe.com"),
        (
            {"title": "Login fails", "description": "AADSTS90033"},
            {"source": "entra"},
            Answer.VENDOR,
            "names AADSTS90033",
        ),
        # the words mean another component than the outage's
        (
            {"description": "api.github.com timed out"},
            {"source": "github", "component": "Pages"},
            Answer.UNKNOWN,
            "Its words mean API Requests; the outage is of Pages",
        ),
        (
            {"description": "api.github.com"},
            {"source": "github", "component": "API Requests"},
            Answer.VENDOR,
            "affected",
        ),
        (
            {"labels": SHOP, "description": "checkout is slow"},
            {"source": "stripe", "component": "Checkout"},
            Answer.VENDOR,
            'mention "checkout"',
        ),
        # another region, by label, by host, by place name
        ({"labels": DATA}, {"source": "aws", "region": "us-east-1"}, Answer.UNKNOWN, "depends on AWS eu-central-1"),
        (
            {"labels": DATA},
            {"source": "aws", "component": "EC2 (Frankfurt)"},
            Answer.VENDOR,
            "depends on AWS eu-central-1",
        ),
        (
            {"description": "dynamodb.eu-central-1.amazonaws.com"},
            {"source": "aws", "title": "DynamoDB (N. Virginia)"},
            Answer.UNKNOWN,
            "It is in eu-central-1, the outage in us-east-1",
        ),
        (
            {"labels": {**SHOP, "zone": "europe-west1-b"}},
            {"source": "stripe", "region": "europe-west1"},
            Answer.VENDOR,
            "Both are in europe-west1",
        ),
        # times, by the sources' own clocks
        (STRIPE_DOWN, {"source": "stripe", "started_at": NOW + 10 * MINUTE}, Answer.VENDOR, "10 min before the start"),
        (STRIPE_DOWN, {"source": "stripe", "started_at": NOW + 40 * MINUTE}, Answer.VENDOR, "gives no earlier start"),
        (
            STRIPE_DOWN,
            {"source": "stripe", "started_at": NOW + 70 * MINUTE},
            Answer.UNKNOWN,
            "70 min before Stripe's outage",
        ),
        (STRIPE_DOWN, {"source": "stripe", "started_at": NOW}, Answer.VENDOR, "less than a minute after"),
        (STRIPE_DOWN, {"source": "stripe", "started_at": NOW - 50 * 60 * MINUTE}, Answer.VENDOR, "had lasted 50 h"),
        # own causes
        ({"description": "api.stripe.com 503; OOMKilled"}, {"source": "stripe"}, Answer.BOTH, "our memory"),
        ({"labels": SHOP, "description": "pod OOMKilled"}, {"source": "stripe"}, Answer.US, "our memory"),
        ({"description": "api.stripe.com: HTTP 401"}, {"source": "stripe"}, Answer.BOTH, "our account"),
        ({"description": "disk is full"}, {"source": "stripe"}, Answer.US, "our disk"),
        # a limit is what the vendor answered, and mostly ours
        (
            {"description": "api.stripe.com: HTTP 429"},
            {"source": "stripe"},
            Answer.BOTH,
            "a limit that we have reached",
        ),
        ({"labels": SHOP, "description": "toomanyrequests"}, {"source": "stripe"}, Answer.BOTH, "a limit"),
        # nothing ties them
        ({"title": "Something"}, {"source": "stripe"}, Answer.UNKNOWN, ""),
        ({"labels": SHOP}, {"source": "github"}, Answer.US, "Stripe reports no outage"),
    ],
)
def test_each_evidence_speaks_in_a_sentence(
    told: dict[str, Any], of: dict[str, Any], answer: Answer, said: str
) -> None:
    verdict = verdict_on(ours(**told), outage(**of))

    sentences = "\n".join(item.text for item in verdict.evidence)
    assert (verdict.answer, said in sentences) == (answer, True), f"{verdict.score} {sentences}"
    assert bool(verdict.explained_by) is (answer in (Answer.VENDOR, Answer.BOTH))


@pytest.mark.parametrize("minutes", [-5, 5, 30])
def test_what_begins_after_an_outage_is_over_is_explained_by_it_less_and_less(minutes: int) -> None:
    over = outage("stripe", started_at=NOW - 60 * MINUTE, ended_at=NOW - minutes * MINUTE, status=Status.RESOLVED)

    verdict = verdict_on(ours(**STRIPE_DOWN), over)

    (time,) = [item.weight for item in verdict.evidence if item.kind is Clue.TIME]
    assert time == {-5: 1.6, 5: -0.7, 30: -4.0}[minutes]


@pytest.mark.parametrize(
    "told",
    [
        {"url": "https://api.stripe.com/x", "annotations": {"runbook_url": "https://api.github.com/x"}},
        {"labels": {"image": "api.github.com/a:1", "deployment": "stripe-webhook-consumer"}},
        {"description": "See https://api.github.com/team/blob/main/payments.md"},
        {"description": "Dashboard: https://app.stripe.com/x"},
        {"description": "mail to ops@api.stripe.com, and myapi.stripe.com.example.org"},
        {"labels": {"job": "api.stripe.com"}},
    ],
)
def test_links_images_and_names_of_our_own_are_no_tie(told: dict[str, Any]) -> None:
    verdict = verdict_on(ours(**told), outage("stripe"), outage("github"))

    assert (verdict.answer, verdict.explained_by) == (Answer.UNKNOWN, ())


def test_the_control_plane_of_a_cloud_reaches_other_regions() -> None:
    told = ours(description="dynamodb.eu-central-1.amazonaws.com")
    other = replace(KNOWN, regions=replace(REGIONS, control_planes=frozenset()))

    near = verdict_on(told, outage("aws", region="us-east-1"))
    far = verdict_on(told, outage("aws", region="us-east-1"), known=other)

    assert near.score > far.score


def test_a_change_of_the_same_service_shortly_before_speaks_for_us() -> None:
    told = ours(labels={"service": "shop"}, **STRIPE_DOWN)
    changes = tuple(
        Change(service, NOW - minutes * MINUTE, title)
        for service, minutes, title in (("shop", 9, "first"), ("shop", 4, "v2"), ("shop", 40, "old"), ("cart", 1, "x"))
    )

    verdict = verdict_on(told, outage("stripe"), known=replace(KNOWN, changes=changes))

    assert verdict.answer is Answer.BOTH
    assert [item.text for item in verdict.evidence if item.kind is Clue.OWN_CHANGE] == [
        'We changed shop 4 min before it began: "v2"'
    ]


def test_others_that_name_the_vendor_at_the_same_time_add_a_little() -> None:
    alone = verdict_on(ours(**STRIPE_DOWN), outage("stripe"))
    together = verdict_on(ours(**STRIPE_DOWN), outage("stripe"), siblings={"stripe": ["cart", "mail", "a", "b"]})

    assert 0.0 < together.score - alone.score < 0.2
    assert "cart" in "\n".join(item.text for item in together.evidence)


def test_siblings_are_other_subjects_that_begin_within_twenty_minutes_and_name_the_same_vendor() -> None:
    told = ours(key="a", labels={"service": "shop"}, **STRIPE_DOWN)
    others = [
        told,
        ours(key="b", labels={"service": "shop"}, **STRIPE_DOWN),
        ours(key="c", labels={"service": "cart"}, **STRIPE_DOWN),
        ours(key="d", labels={"service": "cart"}, **STRIPE_DOWN),
        ours(key="e", labels={"service": "late"}, started_at=NOW + 21 * MINUTE, **STRIPE_DOWN),
        ours(key="f", labels={"service": "else"}, description="api.github.com"),
    ]

    found = Siblings((each, read(each, KNOWN)) for each in others).of(told, read(told, KNOWN))

    assert found == {"stripe": ["cart"]}
    assert Siblings([]).of(told, read(told, KNOWN)) == {}


def test_a_person_who_agrees_or_says_no_outranks_the_rest_for_this_pair() -> None:
    told, them = ours(**STRIPE_DOWN), outage("stripe", started_at=NOW - 500 * MINUTE)
    pair = (told.key, them.key)

    agreed = verdict_on(told, them, known=replace(KNOWN, confirmed={pair: "Ada"}))
    refused = verdict_on(told, them, known=replace(KNOWN, rejected={pair: "Ada"}))

    assert (agreed.answer, agreed.explained_by) == (Answer.VENDOR, ("STRIPE-1",))
    assert (refused.answer, refused.explained_by) == (Answer.UNKNOWN, ())
    assert "Ada said that it is not Stripe" in refused.evidence[-1].text


@pytest.mark.parametrize(("learned", "word"), [(5.0, "agreed"), (-5.0, "said no")])
def test_what_people_said_before_weighs_and_is_bounded(learned: float, word: str) -> None:
    known = replace(KNOWN, learned={("stripe", "shop"): learned})

    verdict = verdict_on(ours(labels=SHOP), outage("stripe"), known=known)

    (item,) = [item for item in verdict.evidence if item.kind is Clue.PERSON]
    assert abs(item.weight) == 0.7
    assert word in item.text


def test_where_a_page_that_is_needed_cannot_be_read_nobody_knows() -> None:
    verdict = verdict_on(ours(labels=SHOP), known=replace(KNOWN, unreadable=frozenset({"stripe"})))

    assert verdict.answer is Answer.UNKNOWN
    assert "The page of Stripe cannot be read" in verdict.evidence[0].text


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("Memory is filling up at 10.0.0.4", "our memory"),
        ("container was OOMKilled", "our memory"),
        ("The PersistentVolume claimed by data is only 2% free", "our disk"),
        ("has only 3% available space left", "our disk"),
        ("A client certificate is expiring in less than 24.0 hours", "a certificate"),
        ("node-7 has been unready for more than 15 minutes", "a node of ours"),
        ("panic: nil pointer dereference", "a crash of our program"),
        ("ModuleNotFoundError: No module named 'x'", "a crash of our program"),
        ("47% throttling of CPU in namespace shop", "our processor time"),
        ("KeyError: 'TIMEOUT'", "our configuration"),
        ("column orders.state does not exist", "our database"),
        ("AccessDenied: user is not authorized", "our account"),
        ("invalid_client: the client secret has expired", "our account"),
    ],
)
def test_signs_of_a_cause_of_our_own_are_read_in_the_words_of_usual_rules(words: str, what: str) -> None:
    (own, *_) = read(ours(title="X", description=words), KNOWN).own

    assert f"speaks of {what}" in own.text


@pytest.mark.parametrize(
    "words",
    [
        "Traceback (most recent call last): requests.exceptions.ReadTimeout",
        "HTTPSConnectionPool(host='x', port=443): Read timed out",
        "service billing answers 5% of its requests with 5xx",
        "HTTP 503 from upstream",
    ],
)
def test_how_a_vendors_failure_is_printed_is_no_sign_of_a_cause_of_our_own(words: str) -> None:
    assert read(ours(title="X", description=words), KNOWN).own == ()


def test_a_page_that_is_well_does_not_clear_the_vendor_that_the_words_name() -> None:
    named = verdict_on(ours(labels=SHOP, **STRIPE_DOWN))
    unnamed = verdict_on(ours(labels=SHOP))

    assert (named.answer, unnamed.answer) == (Answer.UNKNOWN, Answer.US)


def test_a_region_in_a_host_is_a_region_of_the_alert() -> None:
    known = replace(KNOWN, hosts={"*.amazonaws.com": Tie("aws")})
    told = ours(description="dynamodb.eu-central-1.amazonaws.com", labels={"region": "us-east-1"})

    assert read(told, known).regions == {"eu-central-1", "us-east-1"}


def test_the_score_of_both_counts_what_speaks_for_us() -> None:
    verdict = verdict_on(ours(description="api.stripe.com 503; OOMKilled"), outage("stripe"))

    assert (verdict.answer, verdict.band) == (Answer.BOTH, "possible")


def test_a_vendor_that_is_named_twice_in_one_way_is_one_fact() -> None:
    told = ours(description="api.stripe.com and js.stripe.com time out; AADSTS90033 is no error of Stripe")

    once, twice = verdict_on(ours(**STRIPE_DOWN), outage("stripe")), verdict_on(told, outage("stripe"))

    assert twice.score == once.score


def test_a_declared_region_is_left_out_where_the_outage_names_none() -> None:
    verdict = verdict_on(ours(labels=DATA), outage("aws"))

    assert "the outage names no place" in verdict.evidence[0].text


def test_without_dependencies_only_words_tie() -> None:
    known = replace(KNOWN, dependencies=())

    assert verdict_on(ours(labels=BUILD), outage("github"), known=known).answer is Answer.UNKNOWN


def test_two_outages_may_explain_one_alert_and_no_chain_is_made() -> None:
    told = ours(description="api.stripe.com and api.github.com time out")

    verdict = verdict_on(told, outage("stripe"), outage("github"), outage("aws"))

    assert verdict.explained_by == ("GITHUB-1", "STRIPE-1")


@pytest.mark.parametrize(("score", "band"), [(0.9, "likely"), (0.6, "likely"), (0.5, "possible"), (0.1, "unlikely")])
def test_a_score_is_shown_as_a_word(score: float, band: str) -> None:
    assert Verdict(answer=Answer.UNKNOWN, score=score, at=NOW).band == band


TEXTS = st.sampled_from(
    ["api.stripe.com 503", "OOMKilled", "HTTP 401", "api.github.com", "429", "disk is full", "slow", "AADSTS90033"]
)
WORDS = st.lists(TEXTS, max_size=4).map(" ".join)
MINUTES = st.integers(-200, 200)
OUTAGES = st.lists(
    st.builds(
        lambda source, minutes, component: outage(source, started_at=NOW + minutes * MINUTE, component=component),
        st.sampled_from(["stripe", "github", "aws", "entra"]),
        MINUTES,
        st.sampled_from(["", "Actions", "Pages", "API Requests"]),
    ),
    max_size=4,
    unique_by=lambda each: each.key,
)
SERVICES = st.sampled_from([{}, BUILD, SHOP, DATA])


@given(WORDS, SERVICES, OUTAGES)
def test_without_a_tie_nothing_is_explained_and_own_evidence_is_never_explained_away(
    words: str, labels: dict[str, str], outages: list[Alert]
) -> None:
    told = ours(description=words, labels=labels)
    reading = read(told, KNOWN)

    verdict = judge(told, reading, outages, KNOWN, NOW)

    tied = {each.internal_id for each in outages if each.source in {*reading.named, *reading.declared}}
    assert set(verdict.explained_by) <= tied
    assert 0.0 <= verdict.score <= 0.983
    if any(item.kind in (Clue.OWN_CAUSE, Clue.OWN_ACCOUNT) for item in reading.own):
        assert verdict.answer in (Answer.US, Answer.BOTH)
    assert judge(told, reading, list(reversed(outages)), KNOWN, NOW) == verdict


def test_a_post_that_is_kept_says_whether_the_start_was_dated_back_whenever_we_first_read_it() -> None:
    """Read by us an hour late, an outage that was posted at its start counts as undated."""
    start = NOW + timedelta(minutes=30)
    read_late = outage("github", started_at=start, opened_at=start + timedelta(hours=1), posted_at=start)
    unknown = replace(read_late, posted_at=None)
    alarm = ours(description="api.github.com: HTTP 503")

    weights = [
        item.weight
        for each in (read_late, unknown)
        for item in judge(alarm, read(alarm, KNOWN), [each], KNOWN, NOW).evidence
        if item.kind is Clue.TIME
    ]

    assert weights == [UNDATED, 0.0]
