"""Strategies without a language model: what every other strategy has to beat.

    config.py         what a recipe may choose
    majority.py       `majority`: one answer for every input
    tfidf.py          `tfidf`: TF-IDF and logistic regression
    label_sets.py     its form for any number of labels an input
    features.py       texts to TF-IDF rows
    linear.py         logistic regression along a path of strengths
    probabilities.py  probabilities to predictions
    dictionary.py     `dictionary`: spans that look like spans of train
    patterns.py       what spans look like, learned from train
    crf.py            `crf`: a conditional random field over words
    word_features.py  what it sees of a word
    words.py          words with their places, spans as tags
    nearest.py        `nearest`: the reference of the nearest training input

Not covered: embeddings of pre-trained encoders, trees, ensembles.
"""
