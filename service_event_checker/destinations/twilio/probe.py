"""Whether the account is good and has the sender's number: what Twilio tells without an SMS.

https://www.twilio.com/docs/iam/api/account, https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from service_event_checker.config.models import as_mapping
from service_event_checker.core.errors import DeliveryError, Reason
from service_event_checker.core.ports import ProbeResult
from service_event_checker.remote.values import text

Get = Callable[[str], Mapping[str, Any]]
_NUMBER = re.compile(r"\+[0-9]{8,15}")  # a short code or a name is not listed among the numbers
_ARRIVES = "whether an SMS arrives at these numbers: use --send, which costs one SMS to each"


def of_account(get: Get, account_sid: str, sender: str) -> ProbeResult:
    """Look at the account and at its number `sender`; `get` returns the answer at a path. Raises DeliveryError."""
    place = f"2010-04-01/Accounts/{account_sid}"
    account = get(f"{place}.json")
    if (status := text(account.get("status"))) != "active":
        raise DeliveryError(Reason.FORBIDDEN, f"Twilio: the account is {status}: see its console")
    proven = ("the account is active and the token is valid",)
    wrong = ("a trial account sends to verified numbers only: upgrade it",) if account.get("type") == "Trial" else ()
    if not _NUMBER.fullmatch(sender):
        return ProbeResult(proven=proven, wrong=wrong, unproven=(f"whether {sender} may send", _ARRIVES))
    numbers = get(f"{place}/IncomingPhoneNumbers.json?PhoneNumber={quote(sender)}").get("incoming_phone_numbers")
    number = as_mapping(next(iter(numbers), None)) if isinstance(numbers, list) else {}
    if not number:
        missing = f"the account has no number {sender}: check TWILIO_FROM"
        return ProbeResult(proven=proven, wrong=(*wrong, missing), unproven=(_ARRIVES,))
    if as_mapping(number.get("capabilities")).get("sms") is False:
        raise DeliveryError(Reason.FORBIDDEN, f"Twilio: {sender} cannot send SMS: use another number")
    return ProbeResult(proven=(*proven, f"{sender} is a number of the account"), wrong=wrong, unproven=(_ARRIVES,))
