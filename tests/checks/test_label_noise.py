import random

import numpy as np

from llmtl.checks import Level, check_label_noise
from llmtl.checks.label_noise import confident_suspects
from llmtl.task import Example

TOPICS = {
    "travel": ["plane", "train", "ticket", "hotel", "luggage", "airport", "station", "journey"],
    "food": ["soup", "bread", "cheese", "dinner", "kitchen", "recipe", "flour", "pepper"],
    "money": ["bank", "loan", "interest", "account", "salary", "coin", "payment", "debt"],
}


def topic_examples(count: int, *, flipped: int, seed: int = 0) -> tuple[list[Example], set[str]]:
    """Return examples of three clear topics, and the ids of those whose label was changed."""
    source = random.Random(seed)
    labels = list(TOPICS)
    examples, wrong = [], set()
    for number in range(count):
        topic = labels[number % 3]
        label = labels[(number + 1) % 3] if number < flipped else topic
        examples.append(Example(str(number), " ".join(source.choices(TOPICS[topic], k=8)), label))
        if label != topic:
            wrong.add(str(number))
    return examples, wrong


def test_changed_labels_are_found():
    examples, wrong = topic_examples(240, flipped=18)
    (finding,) = check_label_noise(examples)
    assert finding.level is Level.WARNING
    assert set(finding.ids) <= wrong
    assert len(finding.ids) >= 12
    assert f"{len(finding.ids)} of 240" in finding.message


def test_right_labels_are_left_alone_and_few_suspects_are_information():
    assert check_label_noise(topic_examples(240, flipped=0)[0]) == []
    (finding,) = check_label_noise(topic_examples(240, flipped=3)[0])
    assert finding.level is Level.INFO
    assert len(finding.ids) == 3


def test_too_few_examples_or_meaningless_texts_skip_the_check(make_examples):
    (finding,) = check_label_noise(make_examples("a", 40) + make_examples("b", 4))
    assert (finding.level, finding.ids) == (Level.INFO, ())
    assert "not checked" in finding.message
    source = random.Random(1)
    noise = [Example(str(n), " ".join(source.choices("uvwxyz", k=4)), source.choice("abcdef")) for n in range(120)]
    (finding,) = check_label_noise(noise)
    assert (finding.level, finding.ids) == (Level.INFO, ())


def test_a_classifier_that_always_answers_the_commonest_label_judges_nothing(make_examples):
    (finding,) = check_label_noise(make_examples("a", 60) + make_examples("b", 15))
    assert (finding.level, finding.ids) == (Level.INFO, ())
    assert "chance" in finding.message


def test_a_rare_label_does_not_stop_the_check_of_others():
    examples, _ = topic_examples(240, flipped=18)
    (expected,) = check_label_noise(examples)
    (finding,) = check_label_noise([*examples, Example("rare", "soup plane bank", "rare")])
    assert finding.ids == expected.ids


def test_texts_of_punctuation_alone_are_no_failure():
    examples = [Example(str(n), "?" * (n % 7 + 1) + "!" * (n % 5), "ab"[n % 2]) for n in range(20)]
    (finding,) = check_label_noise(examples)
    assert finding.level is Level.INFO


def test_confident_joint_of_a_worked_example():
    given = np.array([0, 0, 0, 1, 1, 1])
    first = np.array([0.9, 0.8, 0.1, 0.3, 0.2, 0.95])
    probabilities = np.stack([first, 1 - first], axis=1)
    # Thresholds: 0 -> mean(.9, .8, .1) = 0.6; 1 -> mean(.7, .8, .05) = 0.517. Position 2 reaches only class 1 (0.9),
    # position 5 only class 0 (0.95); margins are 0.1 - 0.9 and 0.05 - 0.95.
    assert confident_suspects(given, probabilities).tolist() == [5, 2]


def test_an_example_whose_own_label_is_the_likeliest_is_no_suspect():
    given = np.array([0, 0, 0, 1, 1, 1])
    first = np.array([0.95, 0.95, 0.55, 0.9, 0.7, 0.2])
    probabilities = np.stack([first, 1 - first], axis=1)
    # Thresholds 0.817 and 0.4: position 2 reaches only that of class 1 (0.45), yet class 0 (0.55) is likelier.
    assert confident_suspects(given, probabilities).tolist() == [3]


def test_an_example_that_reaches_no_threshold_is_no_suspect():
    given = np.array([0, 0, 1, 1])
    first = np.array([0.9, 0.5, 0.1, 0.1])
    probabilities = np.stack([first, 1 - first], axis=1)
    assert confident_suspects(given, probabilities).tolist() == []
