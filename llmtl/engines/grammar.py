"""The grammar of JSON that a model is held to: one for every engine, and for serving.

Not covered: masks of allowed tokens, which XGrammar makes of it for one tokenizer.
"""

import json
from collections.abc import Mapping
from typing import Any

from llmtl.errors import ModelError


def json_grammar(schema: Mapping[str, Any]) -> str:
    """Return the grammar of JSON that follows `schema` with `json.dumps`'s separators.

    Not left to vLLM: with its `disable_any_whitespace` there is no space after a comma or colon, without it any. Raises
    `ModelError` for a schema that XGrammar cannot use.
    """
    import xgrammar

    try:
        return str(xgrammar.Grammar.from_json_schema(json.dumps(schema), any_whitespace=False))
    except RuntimeError as error:
        raise ModelError(f"The JSON schema cannot be used for decoding ({error}); make it simpler.") from error
