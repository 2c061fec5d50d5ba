"""What differs between kinds of task: one file per kind, and a table of them.

    kind.py             the base of all kinds: what the floors above ask one for
    classification.py   one of the labels
    multi_label.py      any number of the labels
    extraction.py       typed spans of the input
    generation.py       a text
    places.py           where the spans that a model names stand in the input
    span_forms.py       spans as other tools write them
    table.py            all kinds, and how one is found by its name

To add a kind, write its file and add one row to the table. Not covered: how answers of one shape are scored
(`llmtl.metrics`), and where answers stand in a prompt (`llmtl.prompting.template`).
"""
