"""What one sequence's drafts come from, and what they were worth so far."""

from __future__ import annotations

from collections.abc import Sequence

from serving.prompt_lookup import PromptLookup
from serving.speculation_pace import AcceptanceRate
from serving.step_model import TokenIds


class Drafts:
    """Proposals for one sequence. Nothing is looked up before the first of them."""

    def __init__(self) -> None:
        self._lookup = PromptLookup()
        self._proposal: Sequence[int] = []
        self.acceptance = AcceptanceRate()

    def propose(self, prompt_ids: TokenIds, answer_ids: list[int], count: int) -> Sequence[int]:
        """How prompt and answer may go on; the answer may have grown by any length since."""
        if not len(self._lookup):
            self._lookup.extend(prompt_ids.tolist())
        self._lookup.extend(answer_ids[len(self._lookup) - len(prompt_ids) :])
        self._proposal = self._lookup.propose(count)
        return self._proposal

    def judge(self, token_ids: Sequence[int]) -> None:
        """With these the text did go on; all of them but the last were as proposed."""
        verdicts = [
            proposed == token
            for proposed, token in zip(self._proposal, token_ids, strict=False)  # either may end
        ]
        self.acceptance.judge(verdicts.count(True), verdicts.count(False))
