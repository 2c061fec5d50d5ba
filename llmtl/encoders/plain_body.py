"""Load an encoder's model alone, without pooling and without a head, for its hidden states.

Not covered: vectors of texts (`llmtl.encoders.sentence`), heads (`llmtl.encoders.network`).
"""

from typing import Any

from llmtl.encoders.checkpoint import EncoderInfo
from llmtl.errors import ModelError


def load_body(info: EncoderInfo, name: str, device: str) -> tuple[Any, Any]:
    """Load model and tokenizer in single precision; raises `ModelError` for weights that are broken."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel

    from llmtl.encoders.network import load_tokenizer

    try:
        model: Any = AutoModel.from_pretrained(
            info.body, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"The weights of the encoder '{name}' cannot be loaded; download them again.") from error
    return model.to(device).eval(), load_tokenizer(info.body)
