"""Every operation of /openapi.json with generated requests, right and wrong ones: no 5xx, no answer off its schema.

`make fuzz` does it with many more: FUZZ_EXAMPLES right ones and as many wrong ones for each operation.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from service_event_checker.web.apidocs.operations import OPERATIONS
from tests.sources.rest.test_payload import SHOWN
from tests.web.conftest import MakeApp, bearer

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is missing: pip install schemathesis")
pytestmark = pytest.mark.real  # it takes long

TOKEN = "token-of-an-administrator"
FINGERPRINT = "known"
#: A valid value may still be none that we issued. Wrong tokens are throttled, which tests/web/security sees to.
LEFT_OUT = frozenset({"positive_data_acceptance", "ignored_auth"})
#: It asks a vendor's page, which a test must not; it has tests of its own.
ASKED = sorted(OPERATIONS.keys() - {"parts.check"})
SETTINGS = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5")),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An app that knows an alert, a delivery and a refused body."""
    made = make_app(API_TOKENS=f"fuzz:admin:{TOKEN}")
    client = made.test_client()
    for body in ({**SHOWN, "fingerprint": FINGERPRINT}, {"title": "without a source"}):
        client.post("/api/v1/alerts", json=body, **bearer(TOKEN))
    return made


def known_names(app: Flask) -> list[str]:
    """Return names that parts of addresses may have, so that requests get further than 404."""
    client = app.test_client()
    held = client.get("/api/v1/quarantine", **bearer(TOKEN)).json["quarantine"]
    waiting = client.get("/api/v1/deliveries?state=waiting", **bearer(TOKEN)).json["deliveries"]
    return [FINGERPRINT, *(each["id"] for each in held), *(each["id"] for each in waiting)]


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: str(mode.value))
@pytest.mark.parametrize("endpoint", ASKED)
def test_no_request_gets_an_answer_that_the_document_does_not_know(endpoint: str, mode: Any, app: Flask) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app, **bearer(TOKEN))
    operation = schema.find_operation_by_id(endpoint.replace(".", "_"))
    left_out = [check for check in schemathesis.checks.CHECKS.get_all() if check.__name__ in LEFT_OUT]

    @SETTINGS
    @given(operation.as_strategy(generation_mode=mode), st.none() | st.sampled_from(known_names(app)))
    def ask(case: Any, name: str | None) -> None:
        if name and case.path_parameters:
            case.path_parameters = dict.fromkeys(case.path_parameters, name)
        case.call_and_validate(excluded_checks=left_out, **bearer(TOKEN))

    ask()
