"""General English of our own: what fine-tuning may forget is measured on it, and rehearsed with it.

    passages.txt   the passages whose cross-entropy is measured; nothing is ever trained on them
    rehearsed.txt  other passages, for remedies that train on some general text
    topics.txt     a task without training: what a sentence is about
    feelings.txt   another one: whether a sentence is pleased
    samples.py     reads them

Passages and sentences were written for this library, none is copied. Not covered: measuring (`llmtl.pipeline`).
"""
