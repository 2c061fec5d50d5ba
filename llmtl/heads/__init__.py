"""Heads on the states of a model: what strategies of the role `features` share, and those that tune an encoder.

    prompt_states.py  the states of prompts, read in chunks and within a time limit
    sentence_head.py  a head on the vectors of a sentence encoder: logistic regression or the nearest centroid
    meanings.py       what labels mean, as further examples
    linear_head.py    a linear model on rows of numbers: chosen on dev, calibrated, kept
    word_states.py    the states of the words of inputs
    word_head.py      a linear head on them, for spans
    vector_search.py  a corpus ranked by the vectors of an encoder
    encoder_heads.py  what the scores of a tuned encoder mean: labels of texts, tags of words
    tuned_encoder.py  the encoder tuned, kept and asked

Not covered: the strategies (`llmtl.strategies`), what gives the states (`llmtl.engines`, `llmtl.encoders`).
"""
