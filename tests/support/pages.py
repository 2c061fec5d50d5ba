"""What the browser tests share: messages that a bag of words mostly gets right, servers, and visits to pages."""

import csv
import os
import random
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "test-artefacts"
APP = str(ROOT / "serve" / "app.py")
KEY = "sesame"
WORDS = {
    "billing": ("invoice", "refund", "charge", "receipt"),
    "delivery": ("parcel", "courier", "tracking", "package"),
    "network": ("wifi", "router", "signal", "connection"),
    "room": ("window", "pillow", "heating", "balcony"),
}
FRAMES = ("My {} is wrong.", "Please look at the {} again.", "What about the {}?", "The {} of today, number {n}.")
QUIET_CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def write_desk(path: Path) -> Path:
    """Return `path`, written with 320 labelled messages; one in eight has another label than its word says."""
    draw = random.Random(3)
    rows = []
    for n in range(320):
        label = draw.choice(sorted(WORDS))
        text = draw.choice(FRAMES).format(draw.choice(WORDS[label]), n=n)
        text += f" {draw.choice(('Thanks', 'Regards', 'Best wishes', 'Cheers'))}, guest {n}."
        rows.append((text, draw.choice(sorted(WORDS)) if n % 8 == 0 else label))
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


@contextmanager
def running(*command: str, says: str, seconds: float = 600.0):
    """Run a command of this Python, wait for the line that matches `says`, yield the match, and stop the command."""
    environment = os.environ | {"LLMTL_API_KEY": KEY, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "400"}
    process = subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield _await(process, says, seconds)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _await(process, says, seconds):
    said, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends:
        line = process.stdout.readline()
        if not line:
            raise AssertionError(f"The command ended: {''.join(said[-20:])}")
        said.append(line)
        if match := re.search(says, "".join(said), re.DOTALL):
            return match
    raise AssertionError(f"Nothing matched {says!r} in {seconds:.0f} s: {''.join(said[-20:])}")


class Visit:
    """A page in a browser with what it asked of which hosts and what it complained about."""

    def __init__(self, context, url, *, width=1280, height=900, scheme="light"):
        self.context = context
        self.page = context.new_page()
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_default_timeout(60_000)
        self.hosts, self.problems = set(), []
        self.page.on("request", lambda request: self.hosts.add(host_of(request.url)))
        self.page.on("websocket", lambda socket: self.hosts.add(host_of(socket.url)))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._heard)
        self.context.request.post(f"{url.rstrip('/')}/login", form={"key": KEY})
        self.page.goto(url)
        self.page.get_by_label("Message").wait_for()

    def _heard(self, message):
        if message.type == "error":
            self.problems.append(f"{message.text} ({message.location.get('url')})")

    def tab(self, name):
        self.page.get_by_role("tab", name=name).click()

    def label(self, text):
        """Type a message, press Enter and return the label that then stands in the first card."""
        self.page.get_by_label("Message").fill(text)
        self.page.keyboard.press("Enter")
        return self.answer(text)

    def answer(self, text):
        """Return the label shown for a message once its prompt is the one that was asked."""
        self.page.locator(".lt-card pre", has_text=text).first.wait_for(state="attached")
        return self.page.locator(".lt-label").first.inner_text()

    def keep(self, name):
        """Keep a screenshot of the whole page as an artefact."""
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)

    def close(self):
        self.page.close()


def host_of(url):
    """Return host and port of a URL; addresses inside the page (data:, blob:) have none and count as `page`."""
    return url.split("/")[2] if "://" in url and not url.startswith(("data:", "blob:")) else "page"
