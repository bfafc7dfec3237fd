"""A headless Chromium driven through its debugging pipe; nothing to install but the browser."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-extensions", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip


PATIENCE = 300
"""Seconds to wait for an answer: on a machine whose cores are taken, a browser starts slowly."""


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome on this machine, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for path in map(shutil.which, names) if path), None)


class Page:
    """One open page; collects what its console and its network said."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in, self._read_ahead = to_browser, from_browser, b""
        self._last, self._session = 0, ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call one method of the DevTools protocol and return its result."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def open(self, path: Path, width: int, height: int = 900, dark: bool = False) -> None:
        """Open a file at a width in a colour scheme, and wait until its figures are drawn."""
        self.size(width, height)
        self.prefer_dark(dark)
        self.call("Page.navigate", url=path.resolve().as_uri())
        loaded = (
            "new Promise(done => document.readyState === 'complete' ? done(1)"
            " : addEventListener('load', () => done(1)))"
        )
        self.evaluate(loaded)
        drawn = (
            "new Promise(done => { const look = () => document.documentElement.classList"
            ".contains('drawn') ? setTimeout(done, 200) : setTimeout(look, 20); look(); })"
        )
        self.evaluate(drawn)

    def prefer_dark(self, dark: bool) -> None:
        """Prefer the dark or the light colour scheme."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def size(self, width: int, height: int) -> None:
        """Give the page a width and a height in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def evaluate(self, expression: str) -> Any:
        """Return the JSON value of an expression, awaited where it is a promise."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def picture(self, path: Path, selector: str | None = None) -> None:
        """Save a PNG of the whole page, or of one element."""
        measure = (
            f"(() => {{ const r = document.querySelector({json.dumps(selector or 'html')})"
            ".getBoundingClientRect(); return [r.x, r.y + scrollY, r.width, r.height]; })()"
        )
        x, y, width, height = self.evaluate(measure)
        clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
        shot = self.call(
            "Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._read_ahead:
            ready, _, _ = select.select([self._in], [], [], PATIENCE)
            chunk = os.read(self._in, 1 << 20) if ready else b""
            assert chunk, "the browser closed its pipe or does not answer"
            self._read_ahead += chunk
        text, _, self._read_ahead = self._read_ahead.partition(b"\0")
        message = dict(json.loads(text))
        params = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        if message.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(str(params["entry"]))
        if message.get("method") == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.complaints.append(str(params["args"]))
        return message


@contextlib.contextmanager
def browser_page() -> Iterator[Page]:
    """Start a browser of its own with a fresh profile, and end it afterwards."""
    chromium = find_chromium()
    assert chromium
    to_browser, from_browser = os.pipe(), os.pipe()

    def hand_over() -> None:
        reader, writer = os.dup(to_browser[0]), os.dup(from_browser[1])
        os.dup2(reader, 3)
        os.dup2(writer, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=hand_over, pass_fds=(3, 4), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser[0])
        os.close(from_browser[1])
        try:
            yield Page(to_browser[1], from_browser[0])
        finally:
            os.close(to_browser[1])
            process.terminate()
            process.wait(timeout=20)
            os.close(from_browser[0])
