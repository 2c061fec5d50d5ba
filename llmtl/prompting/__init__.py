"""Strategies that prompt a model as it is.

    config.py          what a recipe may choose
    zero_shot.py       `zero-shot`: the instruction and the labels
    few_shot.py        `few-shot`: the same demonstrations for every input
    many_shot.py       `many-shot`: as many of them as the context holds
    knn_few_shot.py    `knn-few-shot`: demonstrations retrieved for each input
    hosted.py          `hosted`: a model at an OpenAI-compatible endpoint
    instructions.py    wordings of the instruction
    demonstrations.py  balanced, interleaved demonstrations
    retrieval.py       the most similar training examples of an input
    prompts.py         predictors in every wording
    search.py          candidates scored on dev, within a time box
    calibrating.py     whether a calibration of label probabilities is kept

Demonstrations come from train only. Not covered: inventing instructions, chain of thought, self-consistency.
"""
