"""Keys are hidden in what is printed, logged and raised, however they are written."""

import io
import logging
import os
import subprocess
import sys

import pytest

from llmtl.engines.openai.config import EndpointConfig
from llmtl.errors import RecipeError
from llmtl.recipe import validate
from llmtl.redaction import MASK, keep_secret, keep_secrets_of, redacted, redacted_bytes, secret_in

KEY = 'sk-proj/4f+a"b=9'


@pytest.fixture(autouse=True)
def kept():
    keep_secret(KEY)


@pytest.mark.parametrize("written", [KEY, "sk-proj%2F4f%2Ba%22b%3D9", "sk-proj/4f%2Ba%22b%3D9", 'sk-proj/4f+a\\"b=9'])
def test_a_key_is_hidden_however_it_is_written(written):
    assert redacted(f"bad key {written}.") == f"bad key {MASK}."
    assert redacted_bytes(f"é {written}".encode()) == f"é {MASK}".encode()


def test_of_two_keys_the_longer_is_hidden_as_a_whole():
    keep_secret("abcdefgh")
    keep_secret("abcdefgh-ijkl")
    assert redacted("abcdefgh-ijkl abcdefgh") == f"{MASK} {MASK}"


def test_variables_that_are_named_as_keys_are_and_others_are_not():
    keep_secrets_of(
        {
            "A_API_KEY": "value-of-a-key",
            "HF_TOKEN": "hf_value-of-it",
            "DB_PASSWORD": "its-password",
            "KEYS": "plain-words",
        }
    )
    text = "value-of-a-key hf_value-of-it its-password plain-words"
    assert redacted(text) == f"{MASK} {MASK} {MASK} plain-words"


def test_short_texts_are_words():
    keep_secret("secret")
    keep_secret(None)
    assert redacted("a secret") == "a secret"


def test_logs_hide_keys_in_messages_arguments_and_errors():
    stream = io.StringIO()
    handler, logger = logging.StreamHandler(stream), logging.getLogger("of.another.library")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        logger.debug("sent %s", {"Authorization": f"Bearer {KEY}"})
        logger.debug("100% of nothing")
        try:
            raise ValueError(f"illegal header {KEY}")
        except ValueError:
            logger.exception("failed")
    finally:
        logger.removeHandler(handler)
    told = stream.getvalue()
    assert KEY not in told
    assert MASK in told.splitlines()[0]
    assert "100% of nothing" in told
    assert f"ValueError: illegal header {MASK}" in told
    assert told.count("Traceback") == 1


def test_the_traceback_of_a_command_hides_keys():
    code = (
        "import os; from llmtl.redaction import hide_in_tracebacks, keep_secrets_of\n"
        "keep_secrets_of(os.environ); hide_in_tracebacks()\n"
        "try:\n    raise KeyError(os.environ['MY_API_KEY'])\n"
        "except KeyError as error:\n    raise RuntimeError('while asking') from error"
    )
    environment = os.environ | {"MY_API_KEY": "sk-0123456789"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"KeyError: '{MASK}'" in ended.stderr
    assert "sk-0123456789" not in ended.stderr


@pytest.mark.parametrize(
    ("address", "held"),
    [
        ("https://api.openai.com/v1", None),
        ("https://a.azure.com/openai?api-version=2026-01-01", None),
        ("https://me:pass-of-mine@x.org/v1", "a name or password"),
        ("https://x.org/v1?api_key=abcdefghi", "a key ('api_key')"),
        ("https://x.org/v1?a=b&access_token=abcdefghi", "a key ('access_token')"),
        ("https://[broken", None),
    ],
)
def test_addresses_with_a_key_are_known(address, held):
    assert secret_in(address) == held


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("base_url", "https://x.org/v1?key=hidden-in-here", "holds a key \\('key'\\), and addresses are printed"),
        ("base_url", "https://me:hidden-in-here@x.org", "holds a name or password, and addresses are printed"),
        ("api_key_env", "sk-hidden-in-here", "must be the name of an environment variable"),
        ("api_key_env", "gsk_hidden", "must be the name of an environment variable"),
    ],
)
def test_a_recipe_with_a_key_in_it_is_refused_without_showing_it(name, given, said):
    with pytest.raises(RecipeError, match=said) as refused:
        validate(EndpointConfig, {name: given}, source="recipe.yaml")
    assert "hidden" not in str(refused.value)
    assert MASK in str(refused.value)
