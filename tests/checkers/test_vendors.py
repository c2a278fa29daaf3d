"""The data of vendors and regions: whole, unambiguous, and usable as they stand."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

import pytest

from service_checkers.vendors import Vendor, regions, vendor_called, vendors
from service_event_checker import plugins
from service_event_checker.core.knowledge import Knowledge, Tie

SHIPPED = ("github", "slack", "retool", "snowflake", "azure", "azure_devops", "office365", "salesforce")


def test_the_vendors_that_teams_use_are_there_and_each_is_said_once() -> None:
    assert len(vendors()) >= 60
    assert set(SHIPPED) <= set(vendors())
    hosts = Counter(host for each in vendors().values() for host in each.hosts)
    assert [host for host, number in hosts.items() if number > 1] == []


@pytest.mark.parametrize("vendor", vendors().values(), ids=lambda vendor: vendor.id)
def test_a_checker_takes_the_entry_as_it_stands(vendor: Vendor) -> None:
    assert urlsplit(vendor.page).scheme == "https"
    if not vendor.kind:
        return
    model = plugins.checker_config(vendor.kind)
    assert model is not None
    preset = {"preset": vendor.preset} if vendor.preset else {}

    entry = model.model_validate({"kind": vendor.kind, "url": vendor.url, **preset})

    assert plugins.make_checker(vendor.id, entry)


@pytest.mark.parametrize("name", ["stripe", "Stripe", "STRIPE ", "new relic", "new_relic", "Fly.io"])
def test_a_vendor_is_found_however_its_name_is_written(name: str) -> None:
    assert vendor_called(name) is not None
    assert vendor_called("no such vendor") is None


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("us-east-1", "us-east-1"),
        ("us-east-1b", "us-east-1"),
        ("US East (N. Virginia)", "us-east-1"),
        ("N. Virginia", "us-east-1"),
        ("West Europe", "westeurope"),
        ("westeurope", "westeurope"),
        ("west_europe", "westeurope"),
        ("westeurope-1", "westeurope"),
        ("europe-west1-b", "europe-west1"),
        ("São Paulo", ""),  # of two clouds
        ("Querétaro", "northamerica-south1"),
        ("Queretaro", "northamerica-south1"),
        ("Frankfurt", ""),  # of two clouds
        ("Europe (Frankfurt)", "eu-central-1"),
        ("checkout", ""),
        ("", ""),
    ],
)
def test_a_region_is_known_by_each_name_that_means_it_alone(name: str, id: str) -> None:
    assert regions().known(name) == id


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("AWS - US East (N. Virginia)", {"us-east-1"}),
        ("Elevated errors in eu-west-1 and eu-west-2", {"eu-west-1", "eu-west-2"}),
        ("Azure West Europe is slow", set()),
        ("GKE in europe-west1-d", {"europe-west1"}),
        ("checkout-2 is slow", set()),
    ],
)
def test_regions_are_found_in_a_sentence(text: str, ids: set[str]) -> None:
    assert regions().named([text]) == ids


@pytest.mark.parametrize(
    ("host", "vendor"),
    [
        ("api.stripe.com", "stripe"),
        ("dynamodb.us-east-1.amazonaws.com", "aws"),
        ("acme.my.salesforce.com", "salesforce"),
        ("stripe.com.evil.example", None),
        ("stripe.com", None),
    ],
)
def test_a_host_belongs_to_the_vendor_of_its_longest_pattern(host: str, vendor: str | None) -> None:
    known = Knowledge(hosts={name: Tie(each.id) for each in vendors().values() for name in each.hosts})

    found = known.host(host)

    assert (found.vendor if found else None) == vendor
