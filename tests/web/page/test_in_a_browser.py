"""The page as a real browser shows it: in light, in dark and on a phone. The pictures stay in artifacts/."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import require
from tests.doubles.statuspages import StatusPages
from tests.real.browser import chromium
from tests.real.parts import CHROMIUM
from tests.real.product import Product
from tests.root import ROOT

PICTURES = ROOT / "artifacts"
PATIENCE = 60.0  # seconds; a browser starts slowly on a busy machine
OUTAGE = "Actions: workflow runs do not start"


@dataclass(frozen=True)
class Look:
    """How a person looks at the page; `width` and `height` in CSS pixels."""

    name: str
    colours: str
    width: int
    height: int
    phone: bool = False


LOOKS = (
    Look("light", "light", 1280, 900),
    Look("dark", "dark", 1280, 900),
    Look("phone", "light", 390, 844, phone=True),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require(CHROMIUM)
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The app, which knows of an outage at one vendor and of none at another."""
    with StatusPages() as pages:
        for name in ("github", "retool"):
            pages.page(name)
        pages.open_incident("github", "abc", OUTAGE, impact="major", components=("Actions",))
        server = Product(tmp_path_factory.mktemp("product"), config_for(pages))
        server.start()
        wait_until_known(server)
        yield server
        server.stop()


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_the_page_is_whole_and_quiet_in(look: Look, browser: Browser, product: Product) -> None:
    trouble: list[str] = []
    asked: list[str] = []
    with browser.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.colours,  # type: ignore[arg-type]
        is_mobile=look.phone,
        has_touch=look.phone,
    ) as context:
        page = context.new_page()
        listen(page, trouble, asked)
        page.goto(product.url, timeout=PATIENCE * 1000)
        page.screenshot(path=picture(look), full_page=True)

        assert page.get_by_role("heading", level=1).first.is_visible()
        assert page.get_by_text(OUTAGE).first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert trouble == []
    assert [url for url in asked if not url.startswith(product.url)] == []


@pytest.mark.parametrize(("path", "shown"), [("/docs", "#operations-alerts-alerts_many"), ("/redoc", "#tag\\/alerts")])
def test_the_description_of_the_api_is_shown_and_asks_nobody_else(
    path: str, shown: str, browser: Browser, product: Product
) -> None:
    trouble: list[str] = []
    asked: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        listen(page, trouble, asked)
        page.goto(product.url + path, timeout=PATIENCE * 1000)
        page.locator(shown).first.wait_for(timeout=PATIENCE * 1000)

    assert [text for text in trouble if not text.startswith("OpenAPI Sampler")] == []  # ReDoc's doubts about a sample
    assert [url for url in asked if not url.startswith((product.url, "data:", "blob:"))] == []


def listen(page: Page, trouble: list[str], asked: list[str]) -> None:
    """Write down what the page complains of, and whom it asks."""
    page.on("console", lambda said: trouble.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("requestfailed", lambda request: trouble.append(f"{request.url} failed"))
    page.on("request", lambda request: asked.append(request.url))


def picture(look: Look) -> Path:
    PICTURES.mkdir(exist_ok=True)
    return PICTURES / f"page-{look.name}.png"


def config_for(pages: StatusPages) -> dict[str, Any]:
    return {
        "checkers": {
            name: {"kind": "statuspage", "url": f"{pages.url}/page/{name}", "every": "1s"}
            for name in ("github", "retool")
        },
        "destinations": {"chat": {"kind": "console"}},
        "rules": [{"name": "all", "send": ["chat"]}],
    }


def wait_until_known(server: Product) -> None:
    until = time.monotonic() + PATIENCE
    while OUTAGE not in alerts(server):
        assert time.monotonic() < until, server.log.read_text()[-3000:]
        time.sleep(0.1)  # between looks


def alerts(server: Product) -> str:
    """Return what the API lists; "" while the store is being prepared."""
    try:
        with urllib.request.urlopen(f"{server.url}/api/v1/alerts", timeout=PATIENCE) as answer:  # noqa: S310  # loopback
            return answer.read().decode()
    except urllib.error.HTTPError:
        return ""
