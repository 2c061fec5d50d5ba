"""A chat template that never ends, or takes all memory, is refused soon; those of models, broken ones too, pass."""

import time

import pytest

from llmtl.engines import template_trial
from llmtl.engines.template_trial import MOST_SECONDS, require_bounded
from llmtl.errors import ModelError

ENDLESS = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "loops in what is tracked": "{% generation %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}{% endgeneration %}",
    "a power": "{{ 10 ** (10 ** 9) }}",
    "repetition": "{{ 'a' * 10 ** 11 }}",
    "doubling": "{% set a = namespace(s='xxxxxxxx') %}{% for b in range(60) %}{% set a.s = a.s ~ a.s %}{% endfor %}",
    "padding": "{{ '%099999999999d' | format(1) }}",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_refused_in_one_line(name, monkeypatch):
    began = time.process_time()
    with pytest.raises(ModelError, match=r"chat template takes more than 5 seconds or 1 GiB .*; correct it, or take"):
        require_bounded(ENDLESS[name], {})
    assert time.process_time() - began < MOST_SECONDS  # the time went to another process


@pytest.mark.parametrize(
    "template",
    [
        "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}{% endfor %}",
        "{% for m in messages %}{% generation %}{{ m.content | tojson }}{% endgeneration %}{% break %}{% endfor %}",
        "{{ raise_exception('only users') }}",
        "{{ strftime_now('%d') }}{{ undefined.attribute }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% include '/etc/hostname' %}",
        "{{",
        "",
    ],
)
def test_others_pass_and_are_tried_once(template):
    template_trial._is_bounded.cache_clear()
    for _ in range(2):
        require_bounded(template, {"bos_token": "<s>"})
    assert template_trial._is_bounded.cache_info().hits == 1
