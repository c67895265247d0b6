"""Beam search: the texts whose mean log-probability a token is best, several kept open for each clip.

The search is transformers' (length penalty 1, no early stopping), on this project's decoder: hypotheses of a clip
share its keys and values of the audio, and a clip that can get no better leaves the batch.

Letters: B clips, K beams, V ids that may be said.
"""

from dataclasses import dataclass

import torch

from asr.decoding.decoder_step import DecoderState
from asr.decoding.speaker import Speaker, steps_between_looks
from asr.models.linear import linear

NEVER = -1.0e9
"""Log-probability of what is out of the race; finite, so that sums and quotients stay numbers."""


@dataclass(frozen=True)
class BeamSearch:
    """The search over one model."""

    speaker: Speaker
    beams: int

    def __call__(self, encoded: torch.Tensor, cap: int) -> list[list[int]]:
        """The text tokens of every clip, without prefix and end.

        Args:
            encoded: the encoder's output, shape = (B, S, C).
            cap: tokens after which a text is cut, at least 1.
        """
        race = _Race.start(len(encoded), self.beams, cap, self.speaker.end, encoded.device)
        state, tokens = self.speaker.begin(encoded, cap, self.beams)
        found: list[list[int]] = [[] for _ in range(len(encoded))]
        for step in range(1, cap + 1):
            tokens, rows = race.take(self._log_probs(state, tokens), step)
            if step == cap or step % steps_between_looks(encoded.device) == 0:
                open_clips = race.release(found, last=step == cap)
                if not len(open_clips):
                    break
                tokens, rows = tokens[open_clips], rows[open_clips]
            state.reorder(rows.flatten())
            tokens = tokens.reshape(-1, 1)
        return found

    def _log_probs(self, state: DecoderState, tokens: torch.Tensor) -> torch.Tensor:
        """Of every id that may come next, shape = (B, K, V); special tokens take their share, but are never said."""
        logits = linear(state.advance(tokens), self.speaker.output)
        log_probs = self.speaker.forbid(logits.float().log_softmax(dim=-1)[:, : self.speaker.end + 1])
        return log_probs.view(-1, self.beams, log_probs.shape[-1])


@dataclass
class _Race:
    """The open and the ended hypotheses of each clip in the batch."""

    clips: torch.Tensor
    """Which clip of the batch as it was at first, shape = (B,)."""
    texts: torch.Tensor
    """Tokens of the open hypotheses, shape = (B, K, cap)."""
    scores: torch.Tensor
    """Their log-probabilities, falling, shape = (B, K)."""
    ended: torch.Tensor
    """Tokens of the ended ones, `end` behind them, shape = (B, K, cap)."""
    ended_scores: torch.Tensor
    """Log-probability a token, falling; `NEVER` where none has ended yet, shape = (B, K)."""
    open: torch.Tensor
    """Whether an open hypothesis can still beat the worst ended one, shape = (B,)."""
    end: int

    @classmethod
    def start(cls, clips: int, beams: int, cap: int, end: int, device: torch.device) -> "_Race":
        scores = torch.full((clips, beams), NEVER, device=device)
        texts = torch.full((clips, beams, cap), end, device=device)
        first = scores.clone()
        first[:, 0] = 0.0  # all hypotheses are equal as yet: one is enough
        everyone = torch.ones(clips, dtype=torch.bool, device=device)
        return cls(torch.arange(clips, device=device), texts, first, texts.clone(), scores, everyone, end)

    def take(self, log_probs: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Adds the `step`-th token, counted from 1; last tokens and former rows of the hypotheses, shapes = (B, K).

        Rows are those of the decoder: clip times K plus beam.
        """
        clips, beams, ids = log_probs.shape
        total = (log_probs + self.scores.unsqueeze(2)).flatten(1)
        best, places = total.topk(2 * beams, dim=1)  # as many again as can end at once
        beam, token = places // ids, places % ids
        texts = self.texts.gather(1, beam.unsqueeze(2).expand(-1, -1, self.texts.shape[2]))
        texts[:, :, step - 1] = token
        ends = (token == self.end) if step < texts.shape[2] else torch.ones_like(token, dtype=torch.bool)
        self._finish(texts, best, ends, step)
        self.scores, chosen = best.masked_fill(ends, NEVER).topk(beams, dim=1)
        self.texts = texts.gather(1, chosen.unsqueeze(2).expand(-1, -1, texts.shape[2]))
        worst = self.ended_scores[:, -1]
        self.open = self.open & ((worst <= NEVER / 2) | (self.scores[:, 0] / step > worst))
        rows = beam.gather(1, chosen) + torch.arange(clips, device=token.device).unsqueeze(1) * beams
        return token.gather(1, chosen), rows

    def _finish(self, texts: torch.Tensor, best: torch.Tensor, ends: torch.Tensor, step: int) -> None:
        """Keeps the K best of what had ended and what ends now among the K best."""
        beams = self.scores.shape[1]
        among_best = torch.arange(ends.shape[1], device=ends.device) < beams
        counts = ends & among_best & self.open.unsqueeze(1)
        scores = (best / step).masked_fill(~counts, NEVER)
        self.ended_scores, chosen = torch.cat([self.ended_scores, scores], 1).topk(beams, dim=1)
        both = torch.cat([self.ended, texts], 1)
        self.ended = both.gather(1, chosen.unsqueeze(2).expand(-1, -1, texts.shape[2]))

    def release(self, found: list[list[int]], last: bool) -> torch.Tensor:
        """Hands over the texts of the clips that are done; indices of the others, which stay."""
        stays = [not last and is_open for is_open in self.open.tolist()]
        for row, clip in enumerate(self.clips.tolist()):
            if not stays[row]:
                tokens = self.ended[row, 0].tolist()
                found[clip] = tokens[: tokens.index(self.end)] if self.end in tokens else tokens
        kept = torch.tensor([row for row, stay in enumerate(stays) if stay], dtype=torch.long, device=self.clips.device)
        for name in ("clips", "texts", "scores", "ended", "ended_scores", "open"):
            setattr(self, name, getattr(self, name)[kept])
        return kept
