"""A finished run in which a hosted model was measured, asked at an endpoint that the test gives."""

import llmtl

TROUBLES = {"lost": "card lost", "money": "refund", "charged": "billing"}
PLACES = ("in Rome", "at home", "by post", "last week", "in a shop", "again", "online", "abroad")


def make_hosted_run(folder, url, *, key_env="null", further=""):
    """Return the run; `further` is more YAML of the `hosted` section."""
    rows = [f"{word} {place} number {n},{label}" for word, label in TROUBLES.items() for place in PLACES for n in "123"]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]))
    (folder / "recipe.yaml").write_text(
        "name: mail\ndata: {path: data.csv, near_duplicate_threshold: 1.0, max_dev: 12, max_test: 20}\n"
        "model: {name: pocket-llama}\nstrategies:\n  run: [majority, hosted]\n"
        f"  hosted: {{base_url: '{url}', model: m, api_key_env: {key_env}, shots: [3]{further}}}\n"
        "prices: {usd_per_million_prompt_tokens: 0.5, usd_per_million_completion_tokens: 1.5}\n"
        "decision: {resamples: 1000}\nlearning_curve: {enabled: false}\n"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "run")
