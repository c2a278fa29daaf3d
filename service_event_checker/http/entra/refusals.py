"""What Microsoft Entra ID says when it gives no token, by its codes, and what a person does about it. Pure.

Entra's own sentences name whom and what was tried, and are never shown.
Codes: https://learn.microsoft.com/entra/identity-platform/reference-error-codes and
https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations.
"""

from __future__ import annotations

import json
import re

from service_event_checker.http.answer import HttpError

_CODE = re.compile(r"\bAADSTS\d{4,8}\b")
_WORD = re.compile(r"[A-Za-z_]{1,60}")
_NO_MATCH = (
    "no federated credential of the identity matches this pod; compare issuer (of the cluster), subject"
    " (system:serviceaccount:<namespace>:<name>) and audience (api://AzureADTokenExchange)"
)
_TENANT = "AZURE_TENANT_ID is not the ID of a tenant; copy it from the application's overview"
_MEANINGS = {
    "AADSTS7000215": "AZURE_CLIENT_SECRET is wrong; set the secret's value, not its ID",
    "AADSTS7000222": "the client secret has expired; make a new one at the application and set AZURE_CLIENT_SECRET",
    "AADSTS7000112": "the application is disabled; enable its enterprise application",
    "AADSTS700016": "AZURE_CLIENT_ID is not an application of this tenant; correct it, or AZURE_TENANT_ID",
    "AADSTS90002": _TENANT,
    "AADSTS900023": _TENANT,
    "AADSTS70021": _NO_MATCH,
    "AADSTS700211": _NO_MATCH,
    "AADSTS700212": _NO_MATCH,
    "AADSTS700213": _NO_MATCH,
    "AADSTS700024": "the pod's token is past its time; check the clock, or restart the pod",
    "AADSTS700027": "the pod's token has no valid signature; the issuer of the federated credential is another cluster",
    "AADSTS53003": "a Conditional Access policy blocks this identity; exclude it, or allow this network",
    "AADSTS500011": "this tenant does not know what the token is for; check `scope`, or connect the organization to it",
    "AADSTS70011": "`scope` is not valid; it ends with /.default",
}


def explained(error: HttpError) -> str:
    """Return the codes of an OAuth error (RFC 6749, 5.2), with what they mean where we know it."""
    try:
        answer = json.loads(error.body)
    except (ValueError, RecursionError):
        answer = None
    answer = answer if isinstance(answer, dict) else {}
    words = _WORD.findall(str(answer.get("error", "")))[:1]
    codes = _CODE.findall(str(answer.get("error_description", "")))[:1]
    facts = ", ".join([*words, *codes, f"HTTP {error.status}"])
    meaning = next((_MEANINGS[code] for code in codes if code in _MEANINGS), "")
    return f"{facts}: {meaning}" if meaning else facts
