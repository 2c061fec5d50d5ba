"""Encoders: bidirectional models that give vectors of texts, or tags of words.

    encoder_source.py  which encoder is meant
    checkpoint.py      what a checkpoint is, before it is loaded
    sentence.py        one vector per text, however long
    trainer.py         training one, by sentence-transformers' trainer
    step_time.py       how long a step of that takes
    windows.py         texts cut into overlapping windows of tokens
    units.py           words aligned with tokens
    network.py         an encoder with a head: made, run, written, read
    fine_tuning.py     training one with a head
    label_pairs.py     pairs of texts with one label
    contrastive.py     rows and losses of contrastive tuning: texts with labels, queries with texts

Not covered: language models (`llmtl.engines`), the heads that strategies put on top.
"""
