"""Asking a judge about all planned comparisons: each question once, within the limits, its price forecast before.

Replies are kept by the caller's cache, so that a judgement that was interrupted pays nothing twice. Not covered: the
words (`llmtl.judging.asking`), counting (`llmtl.judging.tally`).
"""

from collections.abc import Mapping, Sequence

from llmtl.costs import token_prices
from llmtl.engines.openai.client import HostedClient, Question
from llmtl.engines.openai.config import HostedModel
from llmtl.engines.openai.engine import BYTES_PER_TOKEN
from llmtl.engines.openai.limits import usd_of
from llmtl.engines.openai.replies import Reply, ReplyCache
from llmtl.errors import ContextLengthError, HostedError
from llmtl.judging.asking import SCHEMA, Brief, Preference, read_answer
from llmtl.judging.config import JudgeConfig
from llmtl.judging.pairs import Contest, Judged, Showing, outcomes, showings
from llmtl.judging.result import JudgeSpent, Opinion
from llmtl.judging.tally import corrected, tally
from llmtl.progress import Advance, Progress, unwatched
from llmtl.task import Example

SECTION = "judge"


class Judge:
    """A judge at an endpoint; raises `HostedError` when its key is not set."""

    def __init__(self, config: JudgeConfig, brief: Brief, cache: ReplyCache) -> None:
        self._config, self._brief = config, brief
        self._prices = token_prices(config.prices())
        self._client = HostedClient(HostedModel(config, self._prices, section=SECTION), cache)
        self._asked: list[Question] = []

    def ask(
        self, examples: Sequence[Example], contests: Sequence[Contest], progress: Progress
    ) -> tuple[Opinion, list[list[Judged]]]:
        """Ask the judge about all contests; give its opinion, and the outcome for every example of each.

        Raises `HostedError` when it cannot be asked, and before anything is sent when the forecast is above the limit.
        """
        shown = list(dict.fromkeys(showing for contest in contests for showing in showings(contest.outputs)))
        questions = [self._question(examples[each.position], each) for each in shown]
        self._asked = questions
        forecast = self._forecast(questions)
        progress.say(f"Asking the judge {self._config.model}: {len(questions):,} requests, forecast {forecast:.4f} USD")
        with progress.stage("judge", len(questions)) as advance:
            replies = self._replies(questions, advance)
        answers = {each: _answer(reply) for each, reply in zip(shown, replies, strict=True)}
        judged = [outcomes(contest.outputs, answers) for contest in contests]
        counted = [tally(each.a, each.b, judged=found) for each, found in zip(contests, judged, strict=True)]
        spent = self.spent
        progress.say(f"judge: {spent.requests:,} replies, {spent.usd:.4f} USD")
        return Opinion(corrected(counted), self._client.supports("schema"), forecast, spent), judged

    @property
    def spent(self) -> JudgeSpent:
        """Add up what the replies took so far, those that an interrupted run kept included."""
        replies = self._client.known(self._asked)
        prompt, cached = sum(each.prompt_tokens for each in replies), sum(each.cached_tokens for each in replies)
        completion, seconds = sum(each.completion_tokens for each in replies), sum(each.seconds for each in replies)
        return JudgeSpent(len(replies), prompt, cached, completion, usd_of(replies, self._prices), seconds)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _question(self, example: Example, showing: Showing) -> Question:
        messages = self._brief.messages(example, showing.first, showing.second)
        return Question(messages, self._config.max_output_tokens, SCHEMA)

    def _forecast(self, questions: Sequence[Question]) -> float:
        """Return USD of the questions: estimated prompt tokens, replies as long as they may be.

        Raises `HostedError` when that is more than may be spent.
        """
        prompt = sum(-(-len(turn["content"].encode()) // BYTES_PER_TOKEN) for q in questions for turn in q.messages)
        written = sum(question.max_tokens for question in questions)
        usd = self._prices.usd(prompt=prompt, cached=0, completion=written)
        if self._config.max_usd is not None and usd > self._config.max_usd:
            raise HostedError(
                f"The judge may cost {usd:.4f} USD by forecast, above its limit of {self._config.max_usd:g}; raise "
                "judge.max_usd, or lower judge.max_examples."
            )
        return usd

    def _replies(self, questions: Sequence[Question], advance: Advance) -> list[Reply | None]:
        """Return one reply a question, None for one that does not fit the judge's context."""
        try:
            return list(self._client.ask(questions, advance))
        except ContextLengthError:  # some do not fit: which of them is found out one by one, the others being kept
            return [self._one(question) for question in questions]

    def _one(self, question: Question) -> Reply | None:
        try:
            return self._client.ask([question], unwatched)[0]
        except ContextLengthError:
            return None


def _answer(reply: Reply | None) -> Preference | None:
    """Read a reply; None for one that is unreadable, cut off before it says it, or missing."""
    return None if reply is None else read_answer(reply.text)


def verdict_rows(
    examples: Sequence[Example], contests: Sequence[Contest], judged: Sequence[Sequence[Judged]]
) -> list[Mapping[str, str | bool | None]]:
    """Write one row for each example of each comparison, as `judging.jsonl` holds them."""
    return [
        {
            "id": example.id,
            "a": contest.a,
            "b": contest.b,
            "outcome": found.outcome.value,
            "asked": found.asked,
            "a_shown_first": found.forward,
            "b_shown_first": found.backward,
        }
        for contest, items in zip(contests, judged, strict=True)
        for example, found in zip(examples, items, strict=True)
    ]
