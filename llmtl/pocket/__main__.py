"""Pre-train a pocket model from the command line: `python -m llmtl.pocket pretrain ...`."""

import argparse
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    main = argparse.ArgumentParser(prog="python -m llmtl.pocket", description=__doc__)
    command = main.add_subparsers(dest="command", required=True).add_parser("pretrain", help="pre-train a pocket model")
    command.add_argument("--architecture", choices=("llama", "mistral"), required=True)
    command.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    command.add_argument("--tokens", type=int, required=True, help="tokens to train on")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--start", type=float, default=0.0, help="where on the curriculum to begin, 0 to 1")
    command.add_argument("--init-from", type=Path, help="checkpoint whose weights and tokenizer to begin with")
    command.add_argument("--batch-tokens", type=int, default=8192, help="tokens of one step, all workers together")
    command.add_argument("--muon-lr", type=float, default=6e-3)
    command.add_argument("--adam-lr", type=float, default=5e-3)
    command.add_argument("--resume", action="store_true", help="go on from the saved state if there is one")
    command.add_argument("--state", type=Path, help="file of the state to resume from (OUT.state.pt)")
    command.add_argument("--log", type=Path, help="JSON Lines log (OUT.log.jsonl)")
    command.add_argument("--workers", type=int, default=1, help="processes that share every batch")
    command.add_argument("--no-compile", action="store_true", help="do not use torch.compile")
    return main


def main() -> None:
    """Parse the arguments and pre-train."""
    arguments = parser().parse_args()
    from llmtl.pocket.pretrain import Settings, pretrain

    settings = Settings(
        architecture=arguments.architecture,
        out=arguments.out,
        n_tokens=arguments.tokens,
        seed=arguments.seed,
        start=arguments.start,
        init_from=arguments.init_from,
        tokens_per_batch=arguments.batch_tokens,
        muon_lr=arguments.muon_lr,
        adam_lr=arguments.adam_lr,
        state=arguments.state,
        log=arguments.log,
        workers=arguments.workers,
        use_compile=not arguments.no_compile,
    )
    pretrain(settings, resume=arguments.resume)


if __name__ == "__main__":
    main()
