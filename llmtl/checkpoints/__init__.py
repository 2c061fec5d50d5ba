"""Find checkpoints: named models, GGUF files, downloads from the Hub, and the cache of what was converted.

locate: where the files of a name are. named: the models that are known by name. gguf_file: reading a GGUF file;
conversion: making a safetensors checkpoint of it, once. cache: where that is kept. download: the Hub. Not covered:
which checkpoints can be loaded (`llmtl.engines.checkpoint`, `llmtl.encoders`).
"""

from llmtl.checkpoints.locate import locate

__all__ = ["locate"]
