"""A choice of a request while `serving.batching` works on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.answer import Answer
from serving.drafts import Drafts
from serving.sampling import RowSampler
from serving.step_model import Logits, TokenIds
from serving.types import GenerateRequest


@dataclass(slots=True, eq=False)
class Sequence:
    """One choice of one request, from its prompt to its last token."""

    request: GenerateRequest
    index: int
    prompt_ids: TokenIds  # [prompt tokens]
    prompt_text: str
    max_tokens: int
    answer: Answer
    sampler: RowSampler
    kv_bytes: int  # promised to it until it leaves
    arrived_s: float
    queue_s: float = 0.0
    num_in_kv: int = 0  # tokens whose keys and values are in its row
    num_cached: int = 0  # of its prompt: they were there before it
    answer_ids: list[int] = field(default_factory=list)
    passed_over: int = 0  # prompt tokens that others were let read first
    prompt_logits: list[Logits] = field(default_factory=list)  # only if prompt logprobs are wanted
    drafts: Drafts = field(default_factory=Drafts)
    finished: bool = False

    @property
    def num_unread(self) -> int:
        """Prompt tokens still to be read."""
        return len(self.prompt_ids) - self.num_in_kv

    @property
    def last_token(self) -> int:
        return self.answer_ids[-1]

    @property
    def wants_prompt_logprobs(self) -> bool:
        return self.request.sampling.prompt_logprobs and self.index == 0

    @property
    def prompt_read(self) -> TokenIds:
        """What of its prompt is in its row."""
        return self.prompt_ids[: self.num_in_kv]
