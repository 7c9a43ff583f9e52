"""Prompts that are made up, as long as asked for."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from inference.bench.plan import RouteName
from inference.bench.prompts.asked import text_prompt
from inference.bench.prompts.lengths import Length
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.record import Prompt
from serving.errors import ConfigError

# Short common words: about one token each to most tokenizers.
COMMON_WORDS = (
    "the of and to in is that it was for on are as with his they at be this from have or by one "
    "had not but what all were when we there can an your which their said if do will each about "
    "how up out them then she many some so these would other into has more her two like him see "
    "time could no make than first been its who now people my made over did down only way find use"
)
WORDS = COMMON_WORDS.split()

Words = str | tuple[int, ...]  # text or token ids


@dataclass(slots=True)
class SyntheticPrompts:
    """Request i's prompt depends on the seed and i alone.

    With a tokenizer a prompt has exactly the length drawn: as token ids on /v1/completions, as
    text elsewhere (what a server adds, a chat template or a token that begins a text, comes on
    top). Without one it has so many short words, about a token each, and only the server can tell
    how many tokens they are. The first `prefix_tokens` of a prompt are those of all others with
    the same i modulo `num_prefixes`.
    """

    prompt_tokens: Length
    output_tokens: Length
    route: RouteName
    tokenizer: BenchTokenizer | None = None
    seed: int = 0
    prefix_tokens: int = 0
    num_prefixes: int = 1
    _heads: dict[int, Words] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ConfigError for heads that cannot be shared as asked."""
        if self.num_prefixes > 1 and not self.prefix_tokens:
            raise ConfigError("--num-prefixes: it needs --prefix-tokens, the length of each")
        if self.prefix_tokens and self.prefix_tokens >= self.prompt_tokens.shortest:
            raise ConfigError(
                f"--prefix-tokens: {self.prefix_tokens} leaves nothing of prompts that may have "
                f"{self.prompt_tokens.shortest}; they must be longer than what they share"
            )

    def prompt(self, number: int) -> Prompt:
        num_tokens = self.prompt_tokens.draw(self._key("length", number))
        answered = self.route != "embeddings"
        max_tokens = self.output_tokens.draw(self._key("answer", number)) if answered else None
        head = self._head(number % self.num_prefixes)
        said = self._make(num_tokens, self._key("own", number), head)
        if isinstance(said, tuple):
            return Prompt(token_ids=said, num_tokens=num_tokens, max_tokens=max_tokens)
        known = num_tokens if self.tokenizer else None
        return text_prompt(self.route, said, num_tokens=known, max_tokens=max_tokens)

    def _head(self, number: int) -> Words:
        if number not in self._heads:
            key = self._key("head", number)
            nothing: Words = () if self._sends_ids else ""
            self._heads[number] = self._make(self.prefix_tokens, key, nothing)
        return self._heads[number]

    @property
    def _sends_ids(self) -> bool:
        return self.tokenizer is not None and self.route == "completions"

    def _make(self, num_tokens: int, key: str, head: Words) -> Words:
        """`head` and as much after it as makes `num_tokens` of both."""
        if isinstance(head, tuple):
            assert self.tokenizer is not None
            return head + self.tokenizer.random_ids(num_tokens - len(head), key)
        if self.tokenizer is not None:
            return self.tokenizer.random_text(num_tokens, key, head=head)
        given = head.split()
        return " ".join(given + random.Random(key).choices(WORDS, k=num_tokens - len(given)))

    def _key(self, what: str, number: int) -> str:
        return f"{self.seed} {what} {number}"
