"""Strategies that prompt the model as it is.

    config.py          what a recipe may choose
    zero_shot.py       `zero-shot`: the instruction and the labels
    few_shot.py        `few-shot`: the same demonstrations for every input
    knn_few_shot.py    `knn-few-shot`: demonstrations retrieved for each input
    demonstrations.py  balanced, interleaved demonstrations
    retrieval.py       the most similar training examples of an input
    search.py          candidates scored on dev, within a time box

Demonstrations come from train only. Not covered: rewording the instruction, chain of thought, self-consistency.
"""
