"""Machinery without a language model.

    config.py         what a recipe may choose
    features.py       texts to TF-IDF rows
    linear.py         logistic regression along a path of strengths, probabilities to predictions
    label_sets.py     its form for any number of labels per input
    patterns.py       what spans look like, learned from train
    word_features.py  what a conditional random field sees of a word
    words.py          words with their places, spans as tags
    tagging.py        the best valid tags of words that were scored one by one
    word_index.py     BM25 over a corpus
    found_texts.py    what was found in a corpus, by words or by vectors
    grid.py           the best point of a grid on dev

Not covered: the strategies (`llmtl.strategies`), trees, ensembles.
"""
