"""Measure who serves an encoder faster, llmtl or vLLM's pooling runner: `python evals/bench_pooling.py --run RUN`.

The run is one in which `embedding-head` was measured. Three servers run side by side: `llmtl serve` with the encoder in
float32 and `llmtl serve` with it in int8, which embed a message and put the head on it (`/v1/predict`), and vLLM with
the same encoder in float32, which only embeds it (`/v1/embeddings`): the head would come on top. Vectors are compared
first, through the cosine of what vLLM gives with what the encoder gave in this process. Then come the rounds of
`bench_serving.py`: one server at a time gets requests one by one for the latency, and a batch at concurrency 64 for the
throughput, while the others are suspended.

Speed in int8 is measured of the form that an export takes, and of the one all in int8 where it takes none; how many
answers stay, and how many products are in float32, is in the result.
Not covered: GPUs, encoders that are tuned.
"""

import argparse
import asyncio
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from bench_serving import Round, Side, measure, summary
from live_server import (
    end_cleanly_on_sigterm,
    exported,
    exported_in_int8,
    pooled_by_vllm,
    served_by_llmtl,
    unseen_texts,
)
from written_results import circumstances, write_result

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.sentence import SentenceEncoder

STRATEGY = "embedding-head"
LOWEST_COSINE = 0.9999
FACTS = ("compared", "agreed", "compared_on_train", "agreed_on_train", "floats", "products")


def main() -> int:
    """Run the benchmark; exit code 0 if llmtl, in int8 on a CPU, is no slower at 64 requests at once and alone."""
    options = _options()
    end_cleanly_on_sigterm()
    before = circumstances(sys.argv, packages=("sentence-transformers", "onnxruntime"))
    with exported(options.run, STRATEGY) as bundle, exported_in_int8(options.run, STRATEGY) as small:
        starts, cosine = zip(*(_start(bundle, small, options) for _ in range(options.starts)), strict=True)
        int8 = json.loads((small / "bundle.json").read_text())["int8"]
    result = {
        "what": "llmtl serve with embedding-head, in float32 and in int8, against the encoder in vLLM's pooling runner",
        **before,
        "load_average_after": circumstances(sys.argv)["load_average"],
        "starts": len(starts),
        "rounds_per_start": options.rounds,
        "requests_per_round": {"alone": options.alone, "at_64": options.together},
        "lowest_cosine_of_vectors": round(min(cosine), 6),
        "float32": _ratios(list(starts), "llmtl"),
        "int8": _ratios(list(starts), "int8") | {key: int8[key] for key in FACTS},
        "measured": [[{name: vars(found) for name, found in each.items()} for each in rounds] for rounds in starts],
    }
    path = write_result("bench_pooling", result)
    for side in ("float32", "int8"):
        ratio, added = result[side]["throughput_ratio"], result[side]["added_p50_ms"]
        print(
            f"embedding-head by llmtl in {side} at 64 requests at once: {ratio['mean']:.2f} times vLLM's throughput "
            f"{ratio['range']}; alone {added['mean']:+.2f} ms {added['range']}."
        )
    print(f"In int8 {int8['agreed']} of {int8['compared']} answers stay. Written to {path.name}.")
    best = result["int8"]
    met = best["throughput_ratio"]["mean"] >= 1 and best["added_p50_ms"]["mean"] <= 0 and min(cosine) >= LOWEST_COSINE
    return 0 if met else 1


def _ratios(starts: list[list[dict[str, Round]]], ours: str) -> dict[str, Any]:
    found = summary(starts, "vllm", ours=ours)
    return {key: found[key] for key in ("throughput_ratio", "added_p50_ms")}


def _start(bundle: Path, small: Path, options: argparse.Namespace) -> tuple[list[dict[str, Round]], float]:
    """Start all servers once and run all rounds; give the lowest cosine, too."""
    texts, model = unseen_texts(bundle), json.loads((bundle / "bundle.json").read_text())["winner"]["model"]

    def asked(text: str) -> dict[str, Any]:
        return {"model": model, "inputs": [text]}

    with served_by_llmtl(bundle) as ours, served_by_llmtl(small) as int8, pooled_by_vllm(bundle / "encoder") as theirs:
        for server in (ours, int8, theirs):
            server.wait()
        vllm = Side("vllm", theirs, lambda text: {"model": "encoder", "input": text}, "/v1/embeddings")
        sides = (Side("llmtl", ours, asked, "/v1/predict"), Side("int8", int8, asked, "/v1/predict"), vllm)
        cosine = _lowest_cosine(vllm, bundle / "encoder", list(islice(texts, 50)))
        return asyncio.run(measure(sides, texts, options)), cosine


def _lowest_cosine(side: Side, encoder: Path, texts: list[str]) -> float:
    """Compare the vectors of a server with those of the encoder in this process."""
    answer = httpx.post(side.url, json={"model": "encoder", "input": texts}, timeout=180, trust_env=False)
    answer.raise_for_status()
    theirs = np.array([each["embedding"] for each in answer.json()["data"]])
    ours = SentenceEncoder.load(EncoderSource(str(encoder)), "cpu").encode(texts)
    norms = np.linalg.norm(theirs, axis=1) * np.linalg.norm(ours, axis=1)
    return float(((theirs * ours).sum(axis=1) / norms).min())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare llmtl's own server with vLLM's pooling runner.")
    parser.add_argument("--run", type=Path, required=True, help="a run folder in which embedding-head was measured")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per start (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=2, help="starts of both servers (default: %(default)s)")
    parser.add_argument("--alone", type=int, default=40, help="requests one at a time, per round (default: 40)")
    parser.add_argument("--together", type=int, default=512, help="requests 64 at a time, per round (default: 512)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
