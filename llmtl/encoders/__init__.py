"""Encoders: bidirectional models that give vectors of texts, or tags of words.

encoder_source: which encoder is meant. Not covered: language models (`llmtl.engines`), heads (`llmtl.strategies`).
"""
