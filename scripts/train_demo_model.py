"""Train anynode-demo, the small chat model that comes with anynode, from nothing on a CPU.

    python scripts/train_demo_model.py                      # models/anynode-demo, under 30 minutes
    python scripts/train_demo_model.py --evaluate-only      # ask the saved model again

Needs what `requirements/train.txt` lists. Text, tokenizer, weights and evaluation all follow from
the seed. Leaves with status 1 when fewer than 95 % of the held-out questions are answered rightly,
or one of those that people try first is not.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from itertools import islice
from pathlib import Path

import torch
from demo_corpus import held_out_questions
from demo_training.batches import BATCH_TOKENS, IGNORE, Batch, batches
from demo_training.checkpoint import new_model, save
from demo_training.evaluation import (
    MUST_ANSWER,
    PASS_SHARE,
    Answerer,
    Judged,
    judge,
    score_table,
    share_right,
    write_sample,
    write_scores,
)
from demo_training.tokenizer import train_tokenizer
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

DEFAULT_OUTPUT = Path(__file__).parents[1] / "models" / "anynode-demo"
DEFAULT_STEPS = 2800
LOG_EVERY = 100

LEARNING_RATE = 3e-3  # at its peak, for both optimizers
WARMUP_STEPS = 100
DECAY_SHARE = 0.5  # of all steps, at the end: down to zero
WEIGHT_DECAY = 0.05
MAX_GRADIENT_NORM = 1.0


def main() -> int:
    """Train (unless told not to), evaluate, and say whether the model is good enough."""
    options = _parse_options()
    torch.set_num_threads(options.threads)
    if not options.evaluate_only:
        tokenizer = train_tokenizer(options.seed)
        model = train(tokenizer, options.seed, options.steps)
        save(model, tokenizer, options.output)
    answerer = Answerer(options.output)
    judged = judge(answerer, held_out_questions())
    first_words = judge(answerer, MUST_ANSWER)
    write_sample(held_out_questions(), options.output / "eval.jsonl", options.seed)
    card = options.output / "README.md"
    if card.exists():
        write_scores(judged, card)
    _report(judged, options.show_wrong)
    _report(first_words, len(first_words))
    return 0 if share_right(judged) >= PASS_SHARE and share_right(first_words) == 1 else 1


def train(tokenizer: Tokenizer, seed: int, steps: int) -> LlamaForCausalLM:
    """A trained model; the same arguments on the same machine give the same weights."""
    torch.manual_seed(seed)
    model = new_model()
    optimizers = _optimizers(model)
    started, total = time.monotonic(), 0.0
    for step, batch in enumerate(islice(batches(tokenizer, seed), steps)):
        loss = _loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * rate(step, steps)
            optimizer.step()
            optimizer.zero_grad()
        total += loss.item()
        if (step + 1) % LOG_EVERY == 0:
            _log(step + 1, steps, total / LOG_EVERY, time.monotonic() - started)
            total = 0.0
    return model


def rate(step: int, steps: int) -> float:
    """The learning rate as a share of its peak: up, level, then down along a cosine."""
    decay_from = steps * (1 - DECAY_SHARE)
    if step < decay_from:
        return min(1.0, (step + 1) / WARMUP_STEPS)
    return 0.5 * (1 + math.cos(math.pi * (step - decay_from) / (steps - decay_from)))


def _optimizers(model: LlamaForCausalLM) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the layers' matrices, AdamW for the rest.

    After as many steps Muon's loss was little more than half of AdamW's alone.
    """
    layers: list[torch.nn.Parameter] = []
    rest: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_layer_matrix = parameter.ndim == 2 and name.startswith("model.layers.")
        (layers if is_layer_matrix else rest).append(parameter)
    return (
        torch.optim.Muon(
            layers, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(rest, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    )


def _loss(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy of the learnt tokens; only their logits are computed."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
        learnt = batch.targets != IGNORE
        logits = model.lm_head(hidden[learnt])
    return cross_entropy(logits.float(), batch.targets[learnt])


def _log(step: int, steps: int, loss: float, elapsed_s: float) -> None:
    tokens_per_s = step * BATCH_TOKENS / elapsed_s
    print(
        f"step {step}/{steps}  loss {loss:.4f}  {elapsed_s:.0f} s wall, "
        f"{time.process_time():.0f} s CPU, {tokens_per_s:.0f} tokens/s",
        flush=True,
    )


def _report(judged: list[Judged], show_wrong: int) -> None:
    print(score_table(judged))
    for one in [one for one in judged if not one.right][:show_wrong]:
        question = one.question
        print(
            f"wrong ({question.category}): {question.text!r}: {one.said!r}, not {question.expect!r}"
        )


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="the model's folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS)
    parser.add_argument("--threads", type=int, default=2, help="of the CPU")
    parser.add_argument("--evaluate-only", action="store_true", help="do not train")
    parser.add_argument(
        "--show-wrong", type=int, default=20, metavar="N", help="list wrong answers"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
