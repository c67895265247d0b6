"""The data card: a README beside the splits that says in words what is in them, in Hugging Face's form."""

from collections.abc import Iterable, Sequence

import yaml

from asr.cards import LICENCES
from asr.corpus.clips import SPLITS
from asr.corpus.ledger import Total, by_any_code
from asr.corpus.splitting.groups import Grouping
from asr.corpus.splitting.leakage import Leakage
from asr.corpus.tally import UNSTATED, Part, by_column, group_sizes, leak_counts, parts, rejected, warned
from asr.corpus.validate import Validated
from asr.text import NORMALIZER_VERSION, normalizer_hash

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Hugging Face's size categories; larger ones are `1M<n<10M`."""
SUMS = """\
In = kept + rejected, and kept = train + validation + test, in clips and in samples. Hours are counted from samples,
rows x mean from the decoded lengths in seconds; the two are checked to agree. What stands here is rounded."""
PROXY = """\
**Blocks are a proxy.** Where nobody names the speaker or the recording, rows that stand side by side in the source are
taken to belong together. That lowers leakage; it does not exclude it: a voice that recurs far away in the source may be
heard in training and in test, and error rates then look better than they would be for new speakers."""
LIMITS = """\
- No model and no person has listened. Text and audio are compared by speaking rate alone, so a transcript of the right
  length for the wrong clip passes.
- Levels, noise, bandwidth and silence are estimates over whole clips.
- Language, personal data, letters and casing are found by simple patterns: a warning may be wrong, and its absence
  proves nothing.
- Copies are found by equal samples, and in other renderings by a fingerprint that some recordings are too short for."""


def card(validated: Validated) -> str:
    """Markdown for `data/splits/README.md`; equal corpora give equal text."""
    found = parts(validated)
    blocks = [
        _front_matter(validated),
        f"# {_title(validated)}",
        _introduction(found),
        "## Sources and licences",
        *_origins(validated),
        "## Totals",
        *_totals(found),
        "## Rejected",
        *_rejected(validated, found),
        "## Repaired and warned of",
        *_changed(validated),
        "## Split and leakage",
        *_split(validated),
        *_leaks(validated.leakage),
        "## How it was judged",
        "The thresholds are in `params.yaml`, section `validate`; `docs/bad-data.md` explains every reason.\n"
        f"Transcripts are cleaned and compared by the normaliser `{NORMALIZER_VERSION}` (`{normalizer_hash()}`).",
        "## Known limits",
        LIMITS,
    ]
    return "\n\n".join(blocks) + "\n"


def _front_matter(validated: Validated) -> str:
    clips = validated.all_in.clips - len(validated.rejections)
    content = {
        "pretty_name": _title(validated),
        "language": [validated.corpus.language],
        "license": _licences(validated),
        "task_categories": ["automatic-speech-recognition"],
        "size_categories": [next((name for limit, name in SIZES if clips < limit), "1M<n<10M")],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": name, "path": f"{name}.jsonl"} for name in SPLITS],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)}---"


def _licences(validated: Validated) -> list[str]:
    """Hugging Face's identifiers of the kept clips' licences."""
    stated = [name for name, shares in by_column(validated, "licence").items() if shares.kept.clips]
    known = {name.lower() if name.lower() in LICENCES else "other" for name in stated if name != UNSTATED}
    return sorted(known | ({"unknown"} if UNSTATED in stated else set()))


def _title(validated: Validated) -> str:
    names = [" ".join(name.split()) for name, shares in by_column(validated, "source").items() if shares.kept.clips]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Azerbaijani speech from {', '.join(names[:3])}{more}"


def _introduction(found: dict[str, Part]) -> str:
    kept, everything = found["kept"].total, found["in"].total
    return (
        f"{kept.clips:,} clips and {kept.hours:,.4f} hours of Azerbaijani speech with transcripts, kept of "
        f"{everything.clips:,} clips and {everything.hours:,.4f} hours.\n"
        "The splits hold transcripts; the sound is in `data/clips`, by `id`."
    )


def _origins(validated: Validated) -> list[str]:
    sources = [
        (_cell(name), *_pair(shares.kept), *_pair(shares.rejected))
        for name, shares in by_column(validated, "source").items()
    ]
    licences = [(_cell(name), *_pair(shares.kept)) for name, shares in by_column(validated, "licence").items()]
    header = ("source", "clips kept", "hours kept", "clips rejected", "hours rejected")
    blocks = [_table(header, sources), _table(("licence", "clips kept", "hours kept"), licences)]
    if validated.unlicensed:
        blocks.append(
            f"**Nobody states the terms of {validated.unlicensed:,} kept clips.** Find them out before you share the\n"
            "data or a model trained on it."
        )
    return blocks


def _totals(found: dict[str, Part]) -> list[str]:
    rows = [
        (name, *_pair(part.total), f"{part.mean_duration:.4f}", f"{part.hours_from_mean:,.4f}")
        for name, part in found.items()
    ]
    return [
        _table(("part", "clips", "hours", "mean (s)", "rows x mean (h)"), rows),
        SUMS,
    ]


def _rejected(validated: Validated, found: dict[str, Part]) -> list[str]:
    reasons = rejected(validated)
    if not reasons:
        return ["Nothing was rejected."]
    everything, lost = found["in"].total, found["rejected"].total
    rows = [(f"`{code}`", *_pair(total)) for code, total in reasons.items()]
    return [
        _table(("first reason", "clips", "hours"), [*rows, ("**all**", *_pair(lost))]),
        f"That is {lost.clips / everything.clips:.2%} of the clips. `rejected.jsonl` names each, with all its reasons.",
    ]


def _changed(validated: Validated) -> list[str]:
    kinds = (
        ("repair", by_any_code(validated.repairs), "No kept clip is repaired."),
        ("warning", warned(validated), "No kept clip is warned of."),
    )
    blocks = [
        _table((kind, "clips kept"), [(f"`{code}`", f"{clips:,}") for code, clips in counts.items()])
        if counts
        else none
        for kind, counts, none in kinds
    ]
    return [*blocks, "A clip counts once under each of its codes. `repaired.jsonl` and `warned.jsonl` name each clip."]


def _split(validated: Validated) -> list[str]:
    return [_grouping(validated.grouping), *([PROXY] if validated.leakage.proxy else []), _largest(validated)]


def _leaks(leakage: Leakage) -> list[str]:
    """What splits share among themselves and with outside test sets."""
    rows = []
    for name, count in leak_counts(leakage).items():
        shared = leakage.shared.get(name)
        concerned = (f"{shared.clips:,}", f"{shared.hours:,.4f}") if shared else ("0", f"{0:.4f}")
        rows.append((name.replace("_", " "), f"{count:,}", *concerned))
    blocks = ["What occurs in more than one split, counted anew from the finished splits:"]
    blocks.append(_table(("shared", "keys or pairs", "clips", "hours"), rows))
    outside = [
        (_cell(name), split, f"{found.keys:,}", f"{found.clips:,}")
        for name, splits in leakage.external.items()
        for split, found in splits.items()
    ]
    if outside:
        header = ("outside test set", "split", "texts", "clips")
        return [*blocks, "What occurs in an outside test set as well:", _table(header, outside)]
    return [*blocks, "No outside test set was given to compare with (`data/external`)."]


def _grouping(grouping: Grouping) -> str:
    ways = (
        (grouping.by_source, "by the group that the source names"),
        (grouping.by_block, "by a block of neighbours in the source"),
        (grouping.by_text, "by their text"),
        (grouping.alone, "alone"),
    )
    how = ", ".join(f"{clips:,} {way}" for clips, way in ways if clips)
    return f"Clips that belong together go to the same split, rejected ones included: {how}."


def _largest(validated: Validated) -> str:
    sizes = group_sizes(validated)
    if not sizes.groups:
        return "The source names no groups, and no blocks were formed."
    kept = sizes.ungrouped + sum(group.clips for group in sizes.groups)
    first = sizes.groups[0]
    return (
        f"The kept clips fall into {len(sizes.groups):,} groups; the largest has {first.clips:,} clips "
        f"({first.clips / kept:.1%}) and {first.hours:,.4f} hours."
    )


def _pair(part: Total) -> tuple[str, str]:
    return f"{part.clips:,}", f"{part.hours:,.4f}"


def _cell(name: str) -> str:
    """A name from outside as the cell of a table."""
    return " ".join(name.split()).replace("|", "\\|")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left and numbers to the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
