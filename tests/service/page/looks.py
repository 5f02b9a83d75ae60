"""What every view must be like: readable to all, at every width, in either colour scheme."""

from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong in a view, once it is drawn, in both colour schemes."""
    expect(page.locator("h1, dialog[open]").first).to_be_visible()
    found = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for each in Axe().run(page).response["violations"]:
            found += [f"{scheme}: {each['id']} {node['html'][:200]}" for node in each["nodes"]]
    return found


def is_wider_than_a_phone(page: Page) -> bool:
    """Whether the whole page would have to be moved sideways on one."""
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    wider = bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    return wider
