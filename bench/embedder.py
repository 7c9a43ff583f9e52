"""How many sentences a second an encoder embeds: ours in each data type, and transformers in torch.

    .cache/convert/bin/python -m bench.embedder FOLDER [FOLDER ...] [--rounds 5] [--threads 2]

FOLDERs are converted copies of one checkpoint, such as one in int8 and one in float32; torch runs
the first one's weights. That environment, which `anynode convert` makes, has torch and ONNX Runtime
both. Arms take turns, so that a slow minute hits all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.conversion.encoder_check import cosines
from serving.conversion.manifest import converted_folder, read_encoder_manifest
from serving.embedder import EmbedderSettings, EmbedRequest, Vectors
from serving.engines.onnx_embedder import OnnxEmbedder

BATCH_SIZES = (1, 8, 32)
ROUND_S = 2.0  # of each arm in each round
# Words that are one token each in the vocabularies of BERT and its kin.
WORDS = """
the and of a to in that with for on by from at was were has had this which river house city garden
window morning evening music paper letter friend doctor teacher child water winter
"""
NUM_WORDS = 18  # twenty tokens with those at both ends

Embed = Callable[[Sequence[str]], Vectors]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    arms = {f"ours, {data_type(each)}": ours(each, given.threads) for each in given.folders}
    arms["transformers, torch"] = torchs(given.folders[0], given.threads)
    print("| batch | arm | sentences/s | per CPU-second | worst cosine to torch |")
    print("|---|---|---|---|---|")
    for batch in BATCH_SIZES:
        for line in table(batch, arms, given.rounds):
            print(line, flush=True)


def data_type(folder: Path) -> str:
    """What it was converted to."""
    return read_encoder_manifest(converted_folder(folder, "onnx")).data_type


def sentences(count: int) -> list[str]:
    """Of twenty tokens each."""
    chance = random.Random(0)
    return [" ".join(chance.choices(WORDS.split(), k=NUM_WORDS)) + "." for _ in range(count)]


def ours(folder: Path, num_threads: int) -> Embed:
    """The engine, tokenizer and all, for one request at a time."""
    loop = asyncio.new_event_loop()
    settings = EmbedderSettings(folder, num_threads=num_threads)
    embedder = OnnxEmbedder(settings)

    async def load() -> None:
        await embedder.load()

    loop.run_until_complete(load())

    def embed(texts: Sequence[str]) -> Vectors:
        return loop.run_until_complete(embedder.embed(EmbedRequest(tuple(texts)))).vectors

    return embed


def torchs(folder: Path, num_threads: int) -> Embed:
    """transformers' own code in fp32: tokenizer, model, mean, unit vectors."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(num_threads)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def embed(texts: Sequence[str]) -> Vectors:
        batch = tokenizer(list(texts), padding=True, return_tensors="pt")
        mask = batch["attention_mask"][..., None].float()
        hidden = model(**batch).last_hidden_state
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        vectors: Vectors = torch.nn.functional.normalize(mean).numpy()
        return vectors

    return embed


def table(batch: int, arms: dict[str, Embed], rounds: int) -> list[str]:
    """A line for each arm; the last arm's vectors are the reference."""
    texts = sentences(batch)
    reference = list(arms.values())[-1](texts)
    rates: dict[str, list[Rate]] = {name: [] for name in arms}
    for number in range(-1, rounds):  # the first is to warm up
        for name, embed in arms.items():
            measured = measure(embed, texts)
            if number >= 0:
                rates[name].append(measured)
    return [
        f"| {batch} | {name} | {spread([each.per_s for each in rates[name]])} "
        f"| {spread([each.per_cpu_s for each in rates[name]])} "
        f"| {cosines(embed(texts), reference).min():.4f} |"
        for name, embed in arms.items()
    ]


@dataclass(frozen=True, slots=True)
class Rate:
    """Sentences in a second of the clock, and of all cores' time: others' load changes the first
    far more than the second.
    """

    per_s: float
    per_cpu_s: float


def measure(embed: Embed, texts: Sequence[str]) -> Rate:
    """Embed the texts again and again."""
    calls, began_s, began_cpu_s = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began_s < ROUND_S:
        embed(texts)
        calls += 1
    count = calls * len(texts)
    return Rate(
        count / (time.perf_counter() - began_s), count / (time.process_time() - began_cpu_s)
    )


def spread(values: Sequence[float]) -> str:
    """The median (lowest to highest)."""
    return f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


if __name__ == "__main__":
    main()
