"""Download from the Hub; every failure in one line with the cure.

Not covered: what the files hold.
"""

import difflib
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx

from llmtl.checkpoints.named import EMBEDDED_NAMES, NAMED
from llmtl.errors import ModelError

PROBE_SECONDS = 3.0
SMALL_FILES = ("*.json", "*.jinja", "tokenizer.model")


def download(name: str, revision: str | None, patterns: tuple[str, ...], *, encoder: bool = False) -> Path:
    """Download the files of a Hub snapshot that match; raise `ModelError` with the reason in one line."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    what = "encoder" if encoder else "model"
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except HFValidationError as error:
        raise ModelError(
            f"'{name}' is neither a folder nor a Hub name; give one of them.{_guess(name, encoder)}"
        ) from error
    except GatedRepoError as error:
        raise ModelError(
            f"The {what} '{name}' is gated; accept its licence on the Hub, then run `hf auth login`."
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"The {what} '{name}' has no revision '{revision}'; check the name of the revision."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"The Hub has no {what} '{name}'; check the name, or give a folder.{_guess(name, encoder)}"
        ) from error
    except LocalEntryNotFoundError as error:
        *others, last = short_names(encoder)
        names = f"{', '.join(others)} or {last}" if others else last
        raise ModelError(
            f"The {what} '{name}' is neither a folder nor in the local cache, and the Hub cannot be reached; connect, "
            f"unset HF_HUB_OFFLINE, or give a folder or {names}.{_guess(name, encoder)}"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()
        raise ModelError(
            f"The {what} '{name}' could not be downloaded ({reason[0] if reason else type(error).__name__}); try again "
            "later, or give a folder."
        ) from error


def short_names(encoder: bool) -> tuple[str, ...]:
    """List the names that work on any machine, of encoders or of language models."""
    return (*(() if encoder else EMBEDDED_NAMES), *(each.name for each in NAMED if each.encoder == encoder))


def has_safetensors(name: str, revision: str | None, folder: Path) -> bool:
    """Tell whether the Hub lists safetensors; without the Hub, whether the cached `folder` holds them."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    if any(folder.glob("*.safetensors")):
        return True
    # the first base of the Hub's error is that of all errors of the HTTP client underneath, which differs by version
    failures: Any = (OSError, HfHubHTTPError, *HfHubHTTPError.__bases__)
    try:
        return any(each.endswith(".safetensors") for each in HfApi().list_repo_files(name, revision=revision))
    except failures:
        return False


def in_hub_cache(name: str, revision: str | None) -> bool:
    """Tell whether a snapshot with weights is in the Hub's cache on this machine."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, OSError):
        return False
    return any(folder.glob("*.safetensors"))


def answers(name: str) -> bool:
    """Tell whether the Hub can be asked for `name` and answers within 3 seconds; asked once per process."""
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE and _probe(name, constants.ENDPOINT)


@lru_cache
def _probe(name: str, endpoint: str) -> bool:
    found: list[bool] = []

    def ask() -> None:
        try:
            answer = httpx.head(f"{endpoint}/api/models/{name}", timeout=PROBE_SECONDS, follow_redirects=True)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError):
            return  # the last two: of proxies that httpx does not know, or has no package for
        found.append(answer.is_success)

    # looking up a host may take longer than any time limit of the connection
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PROBE_SECONDS)
    return found == [True]


def _guess(name: str, encoder: bool) -> str:
    """Write a hint if `name` resembles a short name; otherwise an empty string."""
    close = difflib.get_close_matches(name.lower().replace("_", "-"), short_names(encoder), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
