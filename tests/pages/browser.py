"""A browser for the tests: Chromium, spoken to in the W3C WebDriver protocol, which is JSON over HTTP."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
ENTER = "\ue007"
MISSING = next((name for name in ("chromium", "chromedriver") if shutil.which(name) is None), None)


class Browser:
    """One window of a browser."""

    def __init__(self, session: str) -> None:
        """``session`` is the address of the WebDriver session."""
        self._session = session

    def _call(self, command: str, **body: Any) -> Any:
        request = Request(f"{self._session}/{command}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as response:
            return json.load(response)["value"]

    def open(self, address: str) -> None:
        """Load a page, and wait until it is there."""
        self._call("url", url=address)

    def run(self, script: str) -> Any:
        """What a piece of JavaScript returns, run within the page."""
        return self._call("execute/sync", script=script, args=[])

    def wait(self, condition: str, seconds: float = 10.0) -> Any:
        """The value of a JavaScript expression as soon as it is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.run(f"return {condition}"):
                return value
            time.sleep(0.02)
        raise AssertionError(f"not true within {seconds} s: {condition}")

    def text(self, selector: str) -> str:
        """The text of an element, as a person sees it."""
        return str(self.run(f"return document.querySelector({json.dumps(selector)}).innerText"))

    def type(self, selector: str, text: str) -> None:
        """Put a text into an input, as typing does."""
        self.run(
            f"const input = document.querySelector({json.dumps(selector)}); input.value = {json.dumps(text)};"
            "input.dispatchEvent(new Event('input', {bubbles: true}));"
        )

    def keys(self, selector: str, text: str) -> None:
        """Press keys within an element, or choose a file by its path."""
        found = self._call("element", using="css selector", value=selector)
        self._call(f"element/{next(iter(found.values()))}/value", text=text)

    def click(self, selector: str) -> None:
        """Click on an element."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol, for what WebDriver does not know: media, sizes, pictures."""
        return self._call("goog/cdp/execute", cmd=command, params=parameters)

    def complaints(self) -> list[str]:
        """What the browser's console complains about: a refused script, a failed request."""
        return [entry["message"] for entry in self._call("se/log", type="browser")]


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A fresh browser with a profile folder of its own; it ends with the block."""
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        assert driver.stdout is not None
        found = (re.search(r"successfully on port (\d+)", line) for line in driver.stdout)
        address = f"http://127.0.0.1:{next(match[1] for match in found if match)}/session"
        options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        body = json.dumps({"capabilities": {"alwaysMatch": wanted}}).encode()
        with urlopen(Request(address, body, {"Content-Type": "application/json"}), timeout=60) as response:
            session = f"{address}/{json.load(response)['value']['sessionId']}"
        try:
            yield Browser(session)
        finally:  # the driver's end alone would leave the browser behind
            urlopen(Request(session, method="DELETE"), timeout=30).close()
    finally:
        driver.terminate()
        driver.wait(10)
        if driver.stdout:
            driver.stdout.close()
