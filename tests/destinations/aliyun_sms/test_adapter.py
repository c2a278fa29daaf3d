"""SMS by Alibaba Cloud: signed, by a template, with limits for each number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.model import Alert
from service_event_checker.core.vocabulary import Severity
from service_event_checker.destinations.aliyun_sms import Adapter, Config, canonical_query, signed_headers
from tests.destinations.aliyun_sms.double import KEY_ID, KEY_SECRET, SIGN, TEMPLATE, AliyunSms
from tests.doubles.base import Fault
from tests.factories import alert, delivery

ADA, BOB = "+8613800000000", "+8613900000000"
CRITICAL = alert(severity=Severity.CRITICAL, title='服务器"CPU"使用率过高 & {x}')


@pytest.fixture
def aliyun() -> Iterator[AliyunSms]:
    with AliyunSms() as running:
        yield running
        assert running.refused == []


def adapter(aliyun: AliyunSms, **changes: Any) -> Adapter:
    keys = {"access_key_id": KEY_ID, "access_key_secret": KEY_SECRET, "sign": SIGN, "template": TEMPLATE}
    return Adapter("sms", Config(**{"url": aliyun.url, "to": [ADA], "timeout": 5, **keys, **changes}))


def send(by: Adapter, about: Alert = CRITICAL) -> None:
    by.deliver(delivery(about, receiver="sms"), about, None)


def failure(by: Adapter, about: Alert = CRITICAL) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        send(by, about)
    return raised.value


def test_a_request_is_signed_as_the_documentation_does():
    query = canonical_query(
        {"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}
    )

    headers = signed_headers(
        query,
        "ecs.cn-shanghai.aliyuncs.com",
        ("YourAccessKeyId", "YourAccessKeySecret"),
        datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
        action="RunInstances",
        version="2014-05-26",
        nonce="3156853299f313e23d1673dc12e1703d",
    )

    # https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature, fixed parameters
    signature = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    assert headers["Authorization"].endswith(f",Signature={signature}")


def test_an_sms_fills_the_template_whatever_the_title_holds(aliyun):
    send(adapter(aliyun))

    (message,) = aliyun.messages
    assert message["to"] == "13800000000"
    assert message["title"] == CRITICAL.title
    assert (message["severity"], message["status"], message["id"]) == ("Critical", "Firing", CRITICAL.internal_id)
    assert message["out_id"].startswith("poc-")


def test_a_parameter_is_cut_to_what_a_template_takes(aliyun):
    send(adapter(aliyun), alert(title="高" * 200, severity=Severity.CRITICAL))

    assert len(aliyun.messages[0]["title"]) == 35


def test_a_number_that_had_one_a_moment_ago_is_waited_for_and_the_others_get_theirs(aliyun):
    by = adapter(aliyun, to=[ADA, BOB])
    send(adapter(aliyun), alert(fingerprint="earlier", severity=Severity.CRITICAL))

    error = failure(by)

    assert (error.reason, error.permanent, error.retry_after) == (Reason.RATE_LIMITED, False, 60)
    aliyun.clock = lambda: 1e9
    send(by)
    assert [message["to"] for message in aliyun.messages] == ["13800000000", "13900000000", "13800000000"]


@pytest.mark.parametrize(
    ("code", "reason", "permanent"),
    [
        ("isv.DAY_LIMIT_CONTROL", Reason.RATE_LIMITED, False),
        ("Throttling.User", Reason.RATE_LIMITED, False),
        ("isp.SYSTEM_ERROR", Reason.SERVER_ERROR, False),
        ("isv.AMOUNT_NOT_ENOUGH", Reason.FORBIDDEN, False),
        ("isv.MOBILE_NUMBER_ILLEGAL", Reason.REFUSED, True),
    ],
)
def test_a_code_behind_a_good_status_is_read(aliyun, code, reason, permanent):
    aliyun.codes.append(code)

    error = failure(adapter(aliyun))

    assert (error.reason, error.permanent) == (reason, permanent)
    assert code in str(error)


def test_a_wrong_key_waits_for_a_person_and_is_named_nowhere(aliyun):
    error = failure(adapter(aliyun, access_key_secret="canary4711wrong"))

    assert (error.reason, error.permanent) == (Reason.FORBIDDEN, False)
    assert "ALIYUN_SMS_SIGN" in str(error)
    assert "canary" not in repr(error)


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.ERROR_AFTER, Fault.GARBAGE_AFTER, Fault.HANG_AFTER])
def test_a_doubtful_result_is_told_as_such(aliyun, fault):
    aliyun.script.append(fault)

    assert failure(adapter(aliyun, timeout=0.5)).reason.ambiguous


def test_a_parameter_that_could_hold_nothing_is_refused_at_start():
    with pytest.raises(ValidationError, match="title, severity, status, id, text"):
        Config(parameters={"name": "labels"})
