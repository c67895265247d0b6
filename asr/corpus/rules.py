"""The rules that look at one clip: thresholds over the columns of a corpus, and what its text and label say.

A rule sees the index, never the audio. Rules run over whole columns, and a `Finding` is made only for a clip that
fails, so that one clip and 351,019 clips pass through the same code. Codes of a clip are reported in this order:

1. the code of prepare or of the source; such a clip has no samples to judge, and no other code;
2. what rejects: `thresholds.SIGNAL` from its top to its bottom, the rules of the transcript, `thresholds.RATE`, the
   label's length;
3. what warns: the rules of the transcript, `thresholds.WARNING` from its top to its bottom, an empty text, and the
   notes of prepare.

`docs/bad-data.md` explains every code.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.corpus.codes import ACTIONS, Action
from asr.corpus.findings import Corpus, Finding, Findings
from asr.corpus.splitting.groups import numbered
from asr.corpus.thresholds import RATE, SIGNAL, WARNING, Columns, Threshold, columns
from asr.corpus.transcripts.labels import too_long_labels
from asr.corpus.transcripts.rules import text_findings
from asr.params import ValidateParams

Mask = NDArray[np.bool_]
Placed = Iterator[tuple[int, Finding]]

MIN_GROUP = 10
"""Clips that a group needs before its speaking rate means anything."""
NOTED = {
    "audio.wrong_extension": "the content is of another kind than the file name says",
    "audio.trailing_bytes": "bytes follow the audio: two files may have been joined",
}
"""What the warnings mean that prepare leaves as a code in `notes`."""


def judge(corpus: Corpus, params: ValidateParams, speech: Mask | None = None) -> Findings:
    """What is wrong or odd with each clip by itself, in the order at the top of this module.

    Args:
        corpus: the clips.
        params: the limits.
        speech: which clips are to hold speech, shape = (clips,); those with a text unless given.
    """
    heard = np.array([not code for code in corpus.index.texts["code"]], np.bool_)
    speech = np.array([bool(text) for text in corpus.texts], np.bool_) if speech is None else speech
    spoken = heard & speech
    values = columns(corpus)
    findings: Findings = {}

    def compare(thresholds: Iterable[Threshold]) -> None:
        for threshold in thresholds:
            judged = spoken if threshold.speech_only else heard
            add(findings, _beyond(threshold, values, judged, params, findings))

    add(findings, _by_prepare(corpus, ~heard))
    compare(SIGNAL)
    add(findings, _by_text(corpus, heard))
    compare(RATE)
    add(findings, _by_label(corpus, heard, params))
    compare(WARNING)
    add(findings, _negatives(corpus, heard & ~spoken))
    add(findings, _noted(corpus, heard))
    return findings


def add(findings: Findings, found: Iterable[tuple[int, Finding]]) -> None:
    """Adds to the findings of each clip; what rejects stands before what warns, else the order stays."""
    for place, finding in found:
        others = findings.setdefault(place, [])
        others.append(finding)
        others.sort(key=lambda other: not other.rejects)


def rate_mislabels(corpus: Corpus, keys: Sequence[str], kept: Mask, params: ValidateParams) -> Placed:
    """Clips of groups that speak so much faster or slower than the corpus that their sample rate must be wrong.

    A header that says 8 kHz of 16 kHz samples raises no error and halves the speed. One clip cannot show it: people
    differ by as much. The median of a group, with at least `MIN_GROUP` clips, can.
    """
    rate = columns(corpus)["characters_per_second"]
    # Without blocks, clips that the source does not group are grouped by text, and texts have rates of their own.
    grouped = np.array(
        [bool(group) or params.block_clips is not None for group in corpus.index.texts["group"]], np.bool_
    )
    spoken = kept & (rate > 0)
    if not (spoken & grouped).any():
        return
    typical = float(np.median(rate[spoken]))
    for members in _groups(np.flatnonzero(spoken & grouped), numbered(keys)):
        ratio = float(np.median(rate[members])) / typical
        if len(members) >= MIN_GROUP and max(ratio, 1 / ratio) > params.warn_rate_ratio:
            finding = _mislabel(ratio, params.warn_rate_ratio)
            yield from ((place, finding) for place in members.tolist())


def _groups(places: NDArray[np.int64], groups: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The places of each group, in order."""
    by_group = places[np.argsort(groups[places], kind="stable")]
    yield from np.split(by_group, np.flatnonzero(np.diff(groups[by_group])) + 1)


def _mislabel(ratio: float, limit: float) -> Finding:
    message = (
        f"the clips of this group have {ratio:.2f} times the characters a second of the corpus, "
        f"more than {limit:g} times off: their sample rate may be mislabelled"
    )
    return Finding("signal.rate_mislabel", message, max(ratio, 1 / ratio), limit)


def _by_prepare(corpus: Corpus, refused: Mask) -> Placed:
    codes, messages = corpus.index.texts["code"], corpus.index.texts["message"]
    return ((place, Finding(codes[place], messages[place])) for place in np.flatnonzero(refused).tolist())


def _beyond(threshold: Threshold, values: Columns, judged: Mask, params: ValidateParams, earlier: Findings) -> Placed:
    """Findings of the judged clips beyond a threshold, but for those with the same or the stricter code already."""
    value, limit = values[threshold.column], threshold.limit(params, values)
    beyond = value > limit if threshold.fails == "above" else value < limit
    limits = np.broadcast_to(limit, value.shape)
    for place in np.flatnonzero(beyond & judged).tolist():
        if not any(other.code in (threshold.code, threshold.weaker_than) for other in earlier.get(place, ())):
            measured, allowed = float(value[place]), float(limits[place])
            lengths = {name: float(values[name][place]) for name in ("duration", "declared")}
            message = threshold.message.format(value=measured, limit=allowed, **lengths)
            yield place, Finding(threshold.code, message, measured, allowed)


def _by_text(corpus: Corpus, heard: Mask) -> Placed:
    for place, (raw, text) in enumerate(zip(corpus.index.texts["text"], corpus.texts, strict=True)):
        if heard[place]:
            for finding in text_findings(raw, text, corpus.language):
                yield place, finding


def _by_label(corpus: Corpus, heard: Mask, params: ValidateParams) -> Placed:
    tokenizer = None if params.tokenizer is None else Path(params.tokenizer)
    found = too_long_labels(corpus.texts, params.max_label_tokens, tokenizer)
    return ((place, finding) for place, finding in found if heard[place])


def _negatives(corpus: Corpus, wordless: Mask) -> Placed:
    finding = Finding("signal.negative_example", "a clip without text: kept as an example of silence or noise")
    texts = corpus.index.texts["text"]
    return ((place, finding) for place in np.flatnonzero(wordless).tolist() if not texts[place])


def _noted(corpus: Corpus, heard: Mask) -> Placed:
    """Warnings among the notes of prepare; its repairs are for the ledger."""
    for place, notes in enumerate(corpus.index.texts["notes"]):
        if notes and heard[place]:
            for code in notes.split():
                if ACTIONS[code] is Action.WARN:
                    yield place, Finding(code, NOTED.get(code, "noticed by prepare"))
