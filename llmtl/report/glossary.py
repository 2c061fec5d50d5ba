"""The words of a report, explained for readers who have not met them; the documents' glossary begins with them.

Not covered: the metrics' exact definitions (`llmtl.metrics`).
"""

from llmtl.report import wording
from llmtl.report.content import ReportContent

WORDS = (
    (
        "Verdict",
        "what to do: adopt a strategy, use a baseline, take either of a tie, or label more because it is open.",
    ),
    ("Strategy", "one way to solve the task, from keywords to a fine-tuned language model."),
    ("Baseline", "a strategy without a pre-trained model. Whatever costs more has to beat the best of them."),
    (
        "Prompting",
        "asking a language model as it is, with an instruction and perhaps examples in the text it is given.",
    ),
    ("Fine-tuning", "training a model further on your labelled examples; QLoRA trains a small addition to it."),
    (
        "Preferences (DPO)",
        "pairs of a better and a worse answer; after learning from references a model is trained to tell them apart.",
    ),
    (
        "Transfer",
        "what a model learned before helping with this task; negative transfer is where it does worse for that.",
    ),
    ("Encoder", "a small model that reads a text and gives numbers or labels, and does not write."),
    (
        "Train, dev, test",
        "three parts of the labelled data: to learn from, to choose on, and to measure on once, sealed.",
    ),
    ("95% interval", "where the true score probably lies: with as few examples as here, the score itself is rough."),
    ("Margin", "the smallest difference that matters; strategies closer than that count as equally good."),
    ("Target", "the score that you asked for. It is met when the whole 95% interval reaches it."),
    ("p", "how often chance alone would give a difference this large; Holm's correction counts all comparisons made."),
    ("p50, p95", "half of the requests are answered within the first time, 95 of 100 within the second."),
    (
        "Harder to predict",
        "how much more a tuned language model is surprised by ordinary English than before: by so much it forgot.",
    ),
    ("Left to it alone", "the share of inputs whose answers are sure enough to be used without a person looking."),
)
F1 = (
    "F1",
    "how much is found (recall) and how much of what is given is right (precision), as one number: 1 when all is found "
    "and nothing given wrongly.",
)


def glossary(content: ReportContent) -> tuple[tuple[str, str], ...]:
    """Return the words that are explained with what they mean, the metrics of the task's kind among them."""
    kind = content.task.kind
    metrics = [(wording.capital(wording.metric_name(each)), f"{kind.meanings[each]}.") for each in kind.metrics]
    f1 = [F1] if any("F1" in name for name, _ in metrics) else []
    return (*WORDS, *f1, *metrics)
