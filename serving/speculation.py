"""Speculation for the one sequence that decodes: a draft from its own text, verified in one call.

`batching` asks for a draft before a step of a single sequence and tells afterwards what came. Where
several decode, the weights are read for all of them anyway and drafts would only add to the work.
"""

from __future__ import annotations

import numpy as np

from serving.sequence import Sequence
from serving.speculation_pace import SpeculationPace
from serving.step_model import DraftVerifier, Logits

PROBE_TOKENS = 8  # of the text by which it is tried whether verifying is exact


class Speculation:
    """Drafts of up to `num_tokens` tokens, for as long as they pay. Not thread-safe."""

    def __init__(self, verifier: DraftVerifier, num_tokens: int) -> None:
        self._verifier = verifier
        self._num_tokens = num_tokens
        self._pace = SpeculationPace(verifier.verify_sizes)
        self.num_draft_tokens = 0
        self.num_accepted_tokens = 0

    def draft(self, sequence: Sequence) -> list[int]:
        """Tokens to verify in this step; none if it is to decode."""
        prompt_ids, answer_ids = sequence.prompt_ids, sequence.answer_ids
        count = min(self._num_tokens, sequence.max_tokens - len(answer_ids) - 1)
        proposal = sequence.drafts.propose(prompt_ids, answer_ids, count)
        room = len(prompt_ids) + sequence.max_tokens - sequence.num_in_kv
        acceptance = sequence.drafts.acceptance.value
        return list(proposal[: self._pace.draft_length(len(proposal), room, acceptance)])

    def verify(self, sequence: Sequence, draft: list[int]) -> Logits:
        """Logits after the sequence's last token and after each of the draft [1 + draft, vocab]."""
        token_ids = np.array([sequence.last_token, *draft], np.int64)
        return self._verifier.verify(token_ids, sequence.num_in_kv)

    def decoded(self, sequence: Sequence, seconds: float) -> None:
        """A step without a draft brought one token."""
        self._pace.decoded(seconds)
        sequence.drafts.judge(sequence.answer_ids[-1:])

    def verified(self, sequence: Sequence, draft: list[int], num_new: int, seconds: float) -> None:
        """A step with this draft brought `num_new` tokens; the last of them is the model's own."""
        self._pace.verified(1 + len(draft), seconds)
        sequence.drafts.judge(sequence.answer_ids[-num_new:])
        self.num_draft_tokens += len(draft)
        self.num_accepted_tokens += num_new - 1


def verifies_exactly(model: DraftVerifier) -> bool:
    """Whether, on this machine, verified tokens are bit for bit the decoded ones.

    Kernels differ between CPUs, so it is tried: in row 0, which nobody may use yet and which is
    empty afterwards.
    """
    length = PROBE_TOKENS + max(model.verify_sizes, default=0)
    if not model.verify_sizes or length > model.max_model_len:
        return False
    token_ids = np.arange(1, length + 1) % model.vocab_size
    model.prefill(0, token_ids[:PROBE_TOKENS], 0, all_logits=False)
    decoded = [
        model.decode(token_ids[place : place + 1], np.array([place]))[0].copy()
        for place in range(PROBE_TOKENS, length)
    ]
    exact = all(
        np.array_equal(model.verify(token_ids[PROBE_TOKENS:][:size], PROBE_TOKENS), decoded[:size])
        for size in model.verify_sizes
    )
    model.release_row(0)
    return exact
