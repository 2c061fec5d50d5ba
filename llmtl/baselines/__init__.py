"""Strategies without a language model: what every other strategy has to beat.

    config.py         what a recipe may choose
    majority.py       `majority`: the most frequent training label
    tfidf.py          `tfidf`: TF-IDF and logistic regression
    features.py       texts to TF-IDF rows
    linear.py         logistic regression along a path of strengths
    probabilities.py  probabilities to predictions

Not covered: embeddings of pre-trained encoders, trees, ensembles.
"""
