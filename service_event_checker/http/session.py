"""Makes the requests session under client.py: what it trusts, through which proxy it goes, and who it says we are."""

from __future__ import annotations

import ssl
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.util.ssl_ import create_urllib3_context

from service_event_checker.http import outbound
from service_event_checker.http.address import origin, split_credentials
from service_event_checker.http.guard import Guard, GuardedAdapter, Place, Resolve


class Session(requests.Session):
    """Sends what it is given, only where `guard` allows, and takes nothing from the environment."""

    def __init__(
        self, trusted: frozenset[Place], *, allow_loopback: bool, resolve: Resolve, ca_file: str, direct: bool
    ) -> None:
        super().__init__()
        proxy, credentials = split_credentials("" if direct else outbound.shared().proxy)
        self.guard = Guard(trusted, allow_loopback, resolve, origin(proxy)[1:] if proxy else None)
        self.trust_env = False  # no proxies and no .netrc by surprise
        self.proxies = {"http": proxy, "https": proxy} if proxy else {}
        self.verify = ca_file or outbound.shared().ca_file or True
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.update({"User-Agent": _user_agent(), "Accept-Encoding": "gzip, deflate"})
        for_proxy = {f"Proxy-{name}": value for name, value in credentials.items()}
        for scheme in ("http://", "https://"):
            self.mount(scheme, GuardedAdapter(self.guard, for_proxy, _forgiving_tls() if ca_file else None))

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if outbound.shared().is_direct(urlsplit(str(request.url)).hostname or ""):
            options["proxies"] = {}
        return super().send(request, **options)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Know of no redirect: requests would read its whole body first."""


def _forgiving_tls() -> ssl.SSLContext:
    """Return a context that checks names and certificates, but not their form as strictly as Python 3.13 does.

    Private authorities lack what it asks for: https://github.com/kubernetes-client/python/issues/2394.
    """
    context = create_urllib3_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _user_agent() -> str:
    """Return who we are; with PUBLIC_URL set, also where to reach us: some vendors' bot filters want that."""
    try:
        name = f"platform-outage-checker/{version('platform-outage-checker')}"
    except PackageNotFoundError:  # run from a checkout
        name = "platform-outage-checker/dev"
    contact = "".join(outbound.shared().contact.split())
    return f"{name} (+{contact})" if contact.isascii() and contact else name
