"""Bundles of small winners that are kept with the tests, and requests to whatever serves a bundle, in process."""

import asyncio
import json
import shutil
import tarfile
from pathlib import Path

import httpx

from llmtl.serving.bundle.manifest import BUNDLE

KEPT = Path(__file__).parents[1] / "fixtures" / "bundles" / "ce0dc59.tar.gz"
LOCAL = (
    "classification-tfidf",
    "multi-label-tfidf",
    "extraction-crf",
    "extraction-dictionary",
    "generation-majority",
    "generation-nearest",
)


def kept_bundles(folder):
    """Return `folder`, which then holds one bundle per name of `LOCAL`, and `hosted`."""
    with tarfile.open(KEPT) as archive:
        archive.extractall(folder, filter="data")
    return folder


def written(bundle, model, folder):
    """Return `folder` with a bundle over the checkpoint in `model`, as the middleware reads one."""
    shutil.copytree(model, folder / "model")
    (folder / "bundle.json").write_text(json.dumps(BUNDLE.dump_python(bundle, mode="json")))
    return folder


def asked(app, *requests, url="http://x"):
    """Return the responses of an ASGI application to requests, each a method, a path and options of httpx."""

    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url) as client:
            return [await client.request(method, path, **options) for method, path, options in requests]

    return asyncio.run(go())
