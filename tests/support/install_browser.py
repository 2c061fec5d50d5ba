"""Install Chromium for the browser tests where that is allowed, and say what is skipped where it is not.

    python tests/support/install_browser.py

Tried in order: a Chromium that is there already; Debian's or Ubuntu's package, as root; Playwright's own download. It
never fails: without a browser the browser tests skip themselves and name the reason.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
DOWNLOAD_SECONDS = 600


def browser() -> str | None:
    """Return the path of an installed Chromium, or None: the system's, else the one Playwright downloaded."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def attempts() -> list[list[list[str]]]:
    """Return the ways to install it on this machine; each is a list of commands."""
    ways = [[[sys.executable, "-m", "playwright", "install", "chromium"]]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        ways.insert(0, [["apt-get", "update", "-qq"], install])
    return ways


def succeeds(command: list[str]) -> bool:
    """Return whether the command ends well in time; its output is shown only when it does not."""
    print("+", *command, flush=True)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"  no end after {DOWNLOAD_SECONDS} s")
        return False
    if done.returncode:
        print("  " + (done.stderr or done.stdout).strip()[-300:])
    return done.returncode == 0


def main() -> None:
    """Install a browser unless there is one."""
    if browser():
        return
    print("The browser tests need Chromium; installing it", flush=True)
    for way in attempts():
        if all(succeeds(command) for command in way) and browser():
            return
    print("SKIPPED: the browser tests, since Chromium could not be installed; install the package 'chromium' yourself.")


if __name__ == "__main__":
    main()
