"""The model card for publishing: what was measured, on which data, and what it does not say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from asr.cards import SCRATCH, Origin, Rates, data_and_licence, front_matter, how_to_use
from asr.corpus.clips import SPLITS
from asr.reporting.records.experiment import nameless
from asr.reporting.records.inputs import RecordInputs

FEW_GROUPS = 20
"""With fewer speakers or recordings the interval itself is shaky: a rule of thumb."""
MOST_SOURCES = 5
FORMS = {
    "": "normalised: no case, no punctuation",
    "orthographic": "with case and punctuation",
    "basic": "under Whisper's BasicTextNormalizer, for comparison with published figures",
    "full_window": "padded to the full window, as a stock pipeline pads",
    "baseline": "the base model before training",
}
"""Sections of a split that hold rates on the same clips."""


def published_card(inputs: RecordInputs) -> str:
    """Markdown with Hugging Face's front matter, to be put beside the weights.

    Raises:
        UserError: a key of the metrics or of `params.yaml` is missing.
    """
    origin = Origin(
        inputs.language,
        inputs.param("model", "name"),
        inputs.param("data", "name"),
        inputs.param("data", "licence"),
    )
    blocks = [
        front_matter(origin, [_rates(inputs, name) for name in ("validation", "test")]),
        f"# Whisper for {origin.language_name}",
        _what_it_is(inputs, origin),
        "## Results",
        *_results(inputs),
        "## Data and licence",
        data_and_licence(origin),
        _data(inputs),
        "## Intended use",
        _intended(origin),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(inputs)),
        "## How to use it",
        how_to_use(),
    ]
    return "\n\n".join(blocks) + "\n"


def _rates(inputs: RecordInputs, split: str) -> Rates:
    wer, cer = (inputs.metric("evaluate", split, key) for key in ("wer", "cer"))
    return Rates(split, f"{split} split", wer, cer)


def _what_it_is(inputs: RecordInputs, origin: Origin) -> str:
    made = "trained from scratch" if origin.base == SCRATCH else f"fine-tuned from `{origin.base_name}`"
    parameters, steps = (inputs.metric("train", key) for key in ("parameters", "steps"))
    return (
        f"A speech recogniser for {origin.language_name} (`{inputs.language}`), {made}: {parameters:,} parameters, "
        f"{steps:,} steps; the weights are {_weights(inputs)}.\n"
        "`experiment.json` in `plots/records` holds all parameters, all metrics and the hashes of data and code."
    )


def _weights(inputs: RecordInputs) -> str:
    if inputs.metric("train", "published") == "average":
        return "the average of several evaluations"
    return f"those of step {inputs.metric('train', 'best_step'):,}, the best on validation"


def _results(inputs: RecordInputs) -> Iterator[str]:
    test = {key: inputs.metric("evaluate", "test", key) for key in _QUOTED}
    yield (
        f"**Test WER {_percent(test['wer'])}**, 95 % interval {_percent(test['wer_low'])} to "
        f"{_percent(test['wer_high'])}; CER {_percent(test['cer'])}.\n"
        f"{test['clips']:,} clips with {test['words']:,} words of {test['groups']:,} groups "
        "(speakers, recordings, or blocks of them)."
    )
    found = [row for split in ("test", "validation") for row in _forms(split, inputs.metric("evaluate", split))]
    yield _table(("split", "texts", "WER", "95 % interval", "CER"), found)
    normalizer = test["normalizer"]
    yield (
        f"Test errors: {test['substitutions']:,} substitutions, {test['deletions']:,} deletions, "
        f"{test['insertions']:,} insertions. Normaliser `{normalizer['version']}` (`{normalizer['hash']}`).\n"
        "The interval resamples groups, not clips. Validation chose the weights; the test did not."
    )


_QUOTED = (
    *("wer", "wer_low", "wer_high", "cer", "clips", "words", "groups"),
    *("substitutions", "deletions", "insertions", "normalizer"),
)


def _forms(split: str, content: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, name in FORMS.items():
        rates = content.get(key, {}) if key else content
        if "wer" in rates:
            known = "wer_low" in rates
            interval = f"{_percent(rates['wer_low'])} to {_percent(rates['wer_high'])}" if known else ""
            yield split, name, _percent(rates["wer"]), interval, _percent(rates["cer"])


def _data(inputs: RecordInputs) -> str:
    sizes = {name: inputs.metric("validate", "splits", name) for name in SPLITS}
    rows = [
        (name, f"{size['clips']:,}", f"{size['hours']:,.2f}", f"{size['groups']:,}") for name, size in sizes.items()
    ]
    sources = ", ".join(f"`{nameless(name)}`" for name in sorted(inputs.metric("validate", "sources"))[:MOST_SOURCES])
    kept, given = (inputs.metric("validate", key) for key in ("clips_kept", "clips_in"))
    return (
        f"{_table(('split', 'clips', 'hours', 'groups'), rows)}\n\n"
        f"{kept:,} of {given:,} clips were kept; `data_statistics.json` says why the others were not, "
        "and `split_info.json` how the rest was split. "
        f"Sources: {sources}."
    )


def _intended(origin: Origin) -> str:
    return (
        f"Transcribing {origin.language_name} speech like that of its data, and research on it. It is not made to\n"
        "judge people, nor for decisions in which a wrong word does harm, unless a person checks the text."
    )


def _limits(inputs: RecordInputs) -> Iterator[str]:
    groups, leakage = inputs.metric("evaluate", "test", "groups"), inputs.metric("validate", "leakage")
    silence = inputs.metric("evaluate", "test").get("silence", {})
    if groups < FEW_GROUPS:
        yield f"The test has {groups} groups only: its interval is itself uncertain."
    if leakage.get("groups"):
        yield f"{leakage['groups']:,} groups are in several splits: the test says little about new speakers."
    if leakage.get("proxy"):
        yield "The data name no speakers: a voice may be in training and test, and new voices may be harder."
    if silence.get("clips"):
        yield (
            f"On {silence['clips']:,} test clips without speech it wrote {silence['words_emitted']:,} words; "
            "recognisers may invent text where nobody speaks."
        )
    yield "Other rooms, microphones, topics, dialects and languages than those of the data may be much harder."


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"
