"""A kind of task that llmtl does not have: stars from 1 to 5. This file and a row in the table are all it takes."""

from dataclasses import replace
from types import MappingProxyType

from llmtl.kinds.classification import OneLabel
from llmtl.kinds.kind import AnswerShape, HubWords, Kind
from llmtl.metrics import ONE_LABEL
from llmtl.values import Metric


class Rating(Kind):
    """Stars from 1 to 5."""

    name = "rating"
    shape = AnswerShape.LABEL
    family = replace(ONE_LABEL, metrics=(Metric.ACCURACY, Metric.MACRO_F1))
    meanings = MappingProxyType(
        {
            Metric.ACCURACY: "the share of texts given the right number of stars",
            Metric.MACRO_F1: "the F1 score of each number of stars, averaged with each counting the same",
        }
    )
    instructions = ("Say how many stars the message gives, from 1 to 5.",)
    hub = HubWords("text-classification", gives="a number of stars", limit="It knows no half stars.")
    noun = "star"

    def in_words(self, answer):
        return f"{answer} stars"

    def form(self, spoken, meanings):
        return OneLabel(spoken, meanings)

    def does(self, labels):
        return f"Gives a text 1 to {labels} stars"


RATING = Rating()
