"""The system's Chromium, driven by Playwright: nothing is downloaded, and only this machine is reached."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Route, sync_playwright

from foretwin.errors import ParamsError

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("127.0.0.1", "localhost")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window, which ends with the block; ParamsError where this machine has none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise ParamsError("chromium: is not installed; `apt-get install chromium` does it")
    with sync_playwright() as playwright:
        # Containers often run as root, for whom Chromium's sandbox does not start.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def cut_off(browser: Browser, refused: list[str], **options: Any) -> BrowserContext:
    """Open a context that reaches this machine alone; what else a page asks for is kept in `refused`."""
    context = browser.new_context(**options)

    def admit(route: Route) -> None:
        if urlsplit(route.request.url).hostname in LOCAL:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    context.route("**/*", admit)
    return context
