"""Greedy search: the most probable token at every place, for a batch of clips, until each has ended.

A clip whose text has ended leaves the batch, so that a batch costs what its clips need and not what its
longest text needs times their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from asr.decoding.decoder_step import DecoderState, Moves
from asr.decoding.speaker import Speaker, steps_between_looks
from asr.models.linear import linear


@dataclass(frozen=True)
class GreedySearch:
    """The search over one model."""

    speaker: Speaker

    def __call__(self, encoded: torch.Tensor, cap: int) -> list[list[int]]:
        """The text tokens of every clip, without prefix and end.

        Args:
            encoded: the encoder's output, shape = (B, S, C).
            cap: tokens after which a text is cut, at least 1.
        """
        state, prefix = self.speaker.begin(encoded, cap)
        texts = _Texts(len(encoded), self.speaker.end)
        interval = steps_between_looks(encoded.device)
        token = self._next(state, prefix)
        unseen = [token]
        for _ in range(cap - 1):
            if len(unseen) == interval:
                alive = texts.extend(unseen)
                if not any(alive):
                    return texts.found
                unseen = []
                if not all(alive):
                    token = _close_up(Moves.of(alive, token.device), state, texts, token)
            token = self._next(state, token)
            unseen.append(token)
        texts.extend(unseen)
        return texts.found

    def _next(self, state: DecoderState, tokens: torch.Tensor) -> torch.Tensor:
        """The most probable token after these, shape = (B, L) to shape = (B, 1)."""
        said = self.speaker.output[: self.speaker.end + 1]  # text and the end
        return self.speaker.forbid(linear(state.advance(tokens), said)).argmax(1, keepdim=True)


class _Texts:
    """What was said so far, and in which row of the batch each clip is now."""

    def __init__(self, clips: int, end: int) -> None:
        self.found: list[list[int]] = [[] for _ in range(clips)]
        """Text tokens, a list a clip."""
        self._end = end
        self._clip_of_row = list(range(clips))

    def extend(self, steps: Sequence[torch.Tensor]) -> list[bool]:
        """Takes the tokens of some steps, shapes = (B, 1); says of every row whether its text goes on."""
        alive = []
        for clip, tokens in zip(self._clip_of_row, torch.cat(list(steps), 1).tolist(), strict=True):
            alive.append(self._end not in tokens)
            self.found[clip] += tokens if alive[-1] else tokens[: tokens.index(self._end)]
        return alive

    def shrink(self, moves: Moves) -> None:
        self._clip_of_row = [self._clip_of_row[row] for row in moves.kept]


def _close_up(moves: Moves, state: DecoderState, texts: _Texts, token: torch.Tensor) -> torch.Tensor:
    """Takes the rows that ended out of everything that has rows; the last tokens of the others, shape = (B, 1)."""
    state.shrink(moves)
    texts.shrink(moves)
    return moves.apply(token, 0)
