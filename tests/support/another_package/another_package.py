"""Two strategies of a package that is not llmtl's: one that needs no model, one that asks the base model."""

import json
from dataclasses import dataclass

from llmtl.prompting.template import Template
from llmtl.strategy import Facts, Fitted, LocalServed, Prediction, Role, Runs, Strategy


@dataclass(frozen=True)
class Lengths:
    """The label by the length of the longest word: `shorter` up to `most` letters, else `longer`."""

    most: int
    shorter: str
    longer: str

    def predict(self, inputs, *, advance=lambda units: None):
        advance(len(inputs))
        return [self._predicted(str(at), text) for at, text in enumerate(inputs)]

    def _predicted(self, place, text):
        label = self.shorter if max(map(len, text.split()), default=0) <= self.most else self.longer
        others = {self.shorter: 0.1, self.longer: 0.1}
        return Prediction(place, label, probabilities=others | {label: 0.9})

    def save(self, folder):
        facts = {"most": self.most, "shorter": self.shorter, "longer": self.longer}
        (folder / "lengths.json").write_text(json.dumps(facts))

    def served(self):
        return LocalServed()


class LongestWord(Strategy):
    """A baseline."""

    facts = Facts(
        name="longest-word",
        role=Role.BASELINE,
        served=LocalServed,
        made_with="another-package",
        is_made_by="counting letters",
        summary="The length of the longest word.",
    )

    def fit(self, context):
        first, second = context.task.labels
        return Fitted(Lengths(6, first, second))

    def load(self, context, folder):
        return Lengths(**json.loads((folder / "lengths.json").read_text()))


class Weights:
    """The base model's probabilities, times a weight per label."""

    def __init__(self, context, weights):
        self._context, self._weights = context, weights

    def predict(self, inputs, *, advance=lambda units: None):
        engine, labels = self._context.load_engine(None), self._context.task.labels
        template = Template(self._context.task, engine)
        scores = engine.score([template.prompt(text) for text in inputs], template.answers(), advance=advance)
        found = []
        for place, score in enumerate(scores):
            weighed = {
                label: value * self._weights[label] for label, value in zip(labels, score.probabilities, strict=True)
            }
            total = sum(weighed.values())
            chances = {label: value / total for label, value in weighed.items()}
            answer = max(chances, key=chances.__getitem__)
            found.append(Prediction(str(place), answer, chances, prompt_tokens=score.prompt_tokens))
        return found

    def save(self, folder):
        (folder / "weights.json").write_text(json.dumps(self._weights))

    def served(self):
        return LocalServed(needs_base_model=True)


class Reweighted(Strategy):
    """A frozen model with something learned on top of it."""

    facts = Facts(
        name="reweighted",
        role=Role.FEATURES,
        served=LocalServed,
        runs=Runs.BASE_MODEL,
        made_with="another-package",
        is_made_by="weighing what the base model says",
        summary="The base model's probabilities, weighed by the labels' frequencies.",
    )

    def fit(self, context):
        references = [example.reference for example in context.train]
        weights = {label: references.count(label) / len(references) for label in context.task.labels}
        return Fitted(Weights(context, weights))

    def load(self, context, folder):
        return Weights(context, json.loads((folder / "weights.json").read_text()))
