"""A stateful Alibaba Cloud SMS on loopback: SendSms 2017-05-25, signed by ACS3-HMAC-SHA256, limits per number.

https://help.aliyun.com/document_detail/419273.html; one SMS a minute for one number, HTTP 200 to what it refuses.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.doubles.base import Answer, Double, Request

KEY_ID, KEY_SECRET = "canaryid4711", "canary4711aliyun"
SIGN, TEMPLATE = "运维", "SMS_154950909"
VARIABLES = frozenset({"severity", "title", "status", "id"})


class AliyunSms(Double):
    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.secret = KEY_SECRET
        self.clock: Callable[[], float] = time.monotonic
        self.messages: list[dict[str, Any]] = []
        self.nonces: set[str] = set()
        self.codes: list[str] = []
        self._last: dict[str, float] = {}

    def handle(self, request: Request) -> Answer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if (request.method, request.path, headers.get("x-acs-action")) != ("POST", "/", "SendSms"):
            return self.refuse(request, "no such action", 404)
        if not self._is_signed(request, headers):
            return said("SignatureDoesNotMatch", "Specified signature does not match our calculation.", 400)
        query = request.query
        if self.codes:
            return said(self.codes.pop(0), "refused")
        if (query.get("SignName"), query.get("TemplateCode")) != (SIGN, TEMPLATE):
            return said("isv.SMS_SIGNATURE_ILLEGAL", "短信签名不合法")
        if not re.fullmatch(r"[0-9]{5,15}", query.get("PhoneNumbers", "")):
            return said("isv.MOBILE_NUMBER_ILLEGAL", "手机号码格式错误")
        values = json.loads(query["TemplateParam"])
        if values.keys() != VARIABLES or any(len(value) > 35 for value in values.values()):
            self.refused.append(f"parameters {values}")
            return said("isv.TEMPLATE_PARAMS_ILLEGAL", "模版变量")
        number, now = query["PhoneNumbers"], self.clock()
        if now - self._last.get(number, -60.0) < 60.0:
            return said("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1")
        self._last[number] = now
        self.messages.append({"to": number, "out_id": query.get("OutId"), **values})
        return said("OK", "OK", BizId="900619746936498440^0")

    def _is_signed(self, request: Request, headers: dict[str, str]) -> bool:
        found = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=(\S+),SignedHeaders=(\S+),Signature=([0-9a-f]{64})", headers["authorization"]
        )
        if not found or found[1] != KEY_ID or headers["x-acs-signature-nonce"] in self.nonces:
            return False
        self.nonces.add(headers["x-acs-signature-nonce"])
        pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in request.pairs)
        query = "&".join(f"{name}={value}" for name, value in pairs)
        lines = "".join(f"{name}:{headers[name].strip()}\n" for name in found[2].split(";"))
        body = hashlib.sha256(request.body).hexdigest()
        wanted = f"POST\n/\n{query}\n{lines}\n{found[2]}\n{body}"
        text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(wanted.encode()).hexdigest()}"
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest() == found[3]


def said(code: str, message: str, status: int = 200, **more: str) -> Answer:
    return Answer.json({"Code": code, "Message": message, "RequestId": "F655A8D5", **more}, status)
