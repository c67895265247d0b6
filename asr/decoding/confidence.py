"""How sure the model is of what it wrote: probabilities of tokens, of words and of whole texts.

The texts are known by now, so one pass of the decoder over each batch says how probable every token was after those
before it. The probabilities are those of the plain softmax over all ids, by which beam search ranks texts: a token
that no search may say keeps its share, so a place where the model wanted to say one counts as a doubtful place.

A word is as sure as its mean token (`docs/confidence.md` compares this with its least sure one), a text as sure as
its mean token, the end included; means are of logarithms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from asr.decoding.generate import Hypothesis, Transcriber
from asr.decoding.pieces import token_bytes, word_spans
from asr.models.tokenizer import end_id, prefix_ids
from asr.pcm import Pcm16

LOGITS_AT_ONCE = 1 << 24
"""Logits held together, 64 MiB of them: a batch of long texts has a hundred times as many with Whisper's vocabulary."""


@dataclass(frozen=True)
class Confidence:
    """How sure the model is of one hypothesis; all are probabilities, 0 to 1."""

    clip: float
    """exp of the mean log-probability a token, the end included."""
    words: tuple[float, ...]
    """Of each word of `hypothesis.text.split()`: exp of the mean log-probability of its tokens."""


def confidences(
    transcriber: Transcriber, clips: Sequence[Pcm16], hypotheses: Sequence[Hypothesis], title: str
) -> list[Confidence]:
    """How sure the model is of each hypothesis, in the order of the clips.

    Args:
        transcriber: that made the hypotheses.
        clips: samples at 16 kHz, the same that were transcribed.
        hypotheses: of the same clips.
        title: what the progress bar says.
    """
    return _confidences(transcriber, hypotheses, token_log_probs(transcriber, clips, hypotheses, title))


def token_log_probs(
    transcriber: Transcriber, clips: Sequence[Pcm16], hypotheses: Sequence[Hypothesis], title: str
) -> list[tuple[float, ...]]:
    """Natural log-probability of every token of each hypothesis, and behind them of the end of the text.

    The end is asked for where the cap cut the text as well: there it says how far the model was from stopping.
    Values do not depend on the batch, up to rounding.

    Args:
        transcriber: that made the hypotheses; the clips are padded to the same edges.
        clips: samples at 16 kHz.
        hypotheses: of the same clips.
        title: what the progress bar says.
    """
    assert len(clips) == len(hypotheses), "one hypothesis a clip"
    found: dict[int, tuple[float, ...]] = {}
    transcriber.model.eval()
    with torch.inference_mode():
        for edge, batch in transcriber.each_batch(clips, title):
            encoded = transcriber.encode([clips[i] for i in batch], edge)
            values = _batch_log_probs(transcriber, encoded, [hypotheses[i].tokens for i in batch])
            found.update(zip(batch, values, strict=True))
    return [found[i] for i in range(len(clips))]


def _batch_log_probs(
    transcriber: Transcriber, encoded: torch.Tensor, texts: Sequence[Sequence[int]]
) -> list[tuple[float, ...]]:
    """Of the tokens and the end of each text; `encoded` has shape = (texts, positions, width)."""
    prefix, end = prefix_ids(transcriber.tokenizer, transcriber.language), end_id(transcriber.tokenizer)
    longest = max(map(len, texts))
    # What stands behind a text is never looked at: attention to the text is causal.
    rows = [[*prefix, *text, *[end] * (longest - len(text))] for text in texts]
    hidden = transcriber.model.model.decoder(
        input_ids=torch.tensor(rows, device=encoded.device), encoder_hidden_states=encoded, use_cache=False
    ).last_hidden_state[:, len(prefix) - 1 :]
    lengths = torch.tensor([len(text) + 1 for text in texts], device=encoded.device)
    wanted = torch.arange(longest + 1, device=encoded.device) < lengths.unsqueeze(1)
    targets = torch.tensor([token for text in texts for token in (*text, end)], device=encoded.device)
    values = iter(_log_probs(transcriber, hidden[wanted], targets))
    return [tuple(next(values) for _ in range(len(text) + 1)) for text in texts]


def _log_probs(transcriber: Transcriber, hidden: torch.Tensor, targets: torch.Tensor) -> list[float]:
    """Of one id a place: shapes (places, width) and (places,); the vocabulary is spread out for a slice at a time."""
    places = max(1, LOGITS_AT_ONCE // transcriber.model.proj_out.out_features)
    losses = [
        F.cross_entropy(transcriber.model.proj_out(some).float(), ids, reduction="none")
        for some, ids in zip(torch.split(hidden, places), torch.split(targets, places), strict=True)
    ]
    return [-loss for loss in torch.cat(losses).tolist()]


def _confidences(
    transcriber: Transcriber, hypotheses: Sequence[Hypothesis], log_probs: Sequence[tuple[float, ...]]
) -> list[Confidence]:
    """From the log-probabilities of the tokens and the end of each hypothesis."""
    pieces = token_bytes(transcriber.tokenizer)
    found = []
    for hypothesis, values in zip(hypotheses, log_probs, strict=True):
        spans = word_spans(hypothesis.text, [pieces[token] for token in hypothesis.tokens])
        found.append(Confidence(_mean(values), tuple(_mean(values[first:stop]) for first, stop in spans)))
    return found


def _mean(log_probs: Sequence[float]) -> float:
    """Geometric mean of the probabilities."""
    return math.exp(math.fsum(log_probs) / len(log_probs))
