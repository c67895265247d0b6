"""Contract: every fault of the catalogue earns its code and its action, and no good clip is lost."""

import io
import re
import sys
import tarfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from asr import audio
from asr.containers import riff
from asr.containers.blocks import FloatCheck
from asr.corpus.clips import SPLITS
from asr.corpus.codes import ACTIONS, Action
from asr.corpus.index import IndexRow, read_index
from asr.corpus.part import decode_clip
from asr.corpus.prepare import prepare
from asr.corpus.sources.open import open_source
from asr.corpus.transcripts import rules as text_rules
from asr.corpus.transcripts import script
from asr.corpus.validate import validate
from asr.corpus.workers import Crew
from asr.decoding.segments import Segment
from asr.decoding.stream import Intake, listen
from asr.errors import UserError
from asr.files import read_jsonl
from asr.knobs import read_yaml
from asr.params import load_params
from asr.pcm import Decode
from asr.text import clean
from stages import validate as stage
from tests.bad_decoders import dangerous
from tests.factories import data_params
from tests.pipeline import ROOT
from tests.ugly import containers, runs, streams, tables
from tests.ugly.__main__ import planted
from tests.ugly.catalogue import ALL_FAULTS, CATALOGUE, codes, differs, table
from tests.ugly.corpus import CLIP_FAULTS, TABLE_FAULTS, Written, write_corpus
from tests.ugly.fault import ClipFault, Fault
from tests.ugly.runs import Mild, Prevented
from tests.ugly.streams import Stream
from tests.ugly.tables import Stop

SEED = 1
PLANTED = (*CLIP_FAULTS, *containers.STUNTS, *TABLE_FAULTS)
STOPS = (*tables.FAULTS, *runs.STOPS, *streams.STOPS)
LEDGERS = {"reject": "rejected", "repair": "repaired", "warn": "warned"}


@dataclass(frozen=True)
class Ledgers:
    """What became of an ugly corpus."""

    written: Written
    first: Mapping[str, str]
    """The first code of each rejected clip, by name."""
    found: Mapping[str, Mapping[str, set[str]]]
    """Codes by action and name."""
    kept: Mapping[str, str]
    """Split by name."""
    clips_in: int


def cases(faults: tuple[Fault[Any], ...]) -> list[Any]:
    """A parameter for each fault."""
    return [pytest.param(fault, id=fault.slug) for fault in faults]


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Ledgers:
    """One run over the whole ugly corpus, with a decoder that crashes and hangs where it is told to."""
    folder = tmp_path_factory.mktemp("ugly")
    written = write_corpus(folder, SEED, (*CLIP_FAULTS, *containers.STUNTS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")  # without ffmpeg, which decodes more than libsndfile
        index = prepared(written, folder)
    with pytest.MonkeyPatch.context() as patch:
        run_validate(folder, written, patch)
    return read_ledgers(folder / "splits", written, index)


def prepared(written: Written, folder: Path) -> dict[str, IndexRow]:
    data = data_params(
        source="folder",
        path=str(written.folder),
        audio_column="file_name",
        group_column="speaker",
        split_column="split",
        duration_column="seconds",
    )
    with Crew(1, seconds=3.0, decoder=cast(Decode, dangerous)) as crew:
        prepare(open_source(data), folder / "clips", folder / "index.parquet", crew, "CC0-1.0")
    index = read_index(folder / "index.parquet")
    return {index.row(place).id: index.row(place) for place in range(len(index))}


def run_validate(folder: Path, written: Written, patch: pytest.MonkeyPatch) -> None:
    """The stage, with the thresholds of the sample; an ugly corpus rejects more than a real one may."""
    content = (ROOT / "presets/sample.yaml").read_text(encoding="utf-8")
    content = re.sub(r"(?<=max_rejected: )[\d.]+", "1.0", content)
    (folder / "params.yaml").write_text(content, encoding="utf-8")
    assert read_yaml(folder / "params.yaml")["validate"]["max_rejected"] == 1.0
    paths = {
        "--index": folder / "index.parquet",
        "--external": written.external,
        "--splits": folder / "splits",
        "--metrics": folder / "validate.json",
        "--plots": folder / "plots",
        "--params": folder / "params.yaml",
    }
    patch.setattr(sys, "argv", ["validate", *(str(word) for pair in paths.items() for word in pair)])
    stage.main()


def read_ledgers(splits: Path, written: Written, index: Mapping[str, IndexRow]) -> Ledgers:
    found: dict[str, dict[str, set[str]]] = {}
    for action, ledger in LEDGERS.items():
        by_name = defaultdict(set)
        for row in read_jsonl(splits / f"{ledger}.jsonl"):
            by_name[index[row["id"]].name].update(row["codes"])
        found[action] = by_name
    rejected = {row["name"]: row["code"] for row in read_jsonl(splits / "rejected.jsonl")}
    kept = {index[row["id"]].name: name for name in SPLITS for row in read_jsonl(splits / f"{name}.jsonl")}
    return Ledgers(written, rejected, found, kept, len(index))


# Faults of single clips, of rows and of splits: one run of prepare and validate


@pytest.mark.parametrize("fault", cases(PLANTED))
def test_a_planted_clip_is_in_the_ledger_of_its_action_under_its_code(fault: ClipFault, ledgers: Ledgers) -> None:
    for name in ledgers.written.planted[fault]:
        assert fault.code in ledgers.found[fault.action.value].get(name, ()), said_of(name, ledgers)
        if fault.action is Action.REJECT:
            assert ledgers.first[name] == fault.code
            assert name not in ledgers.kept
        else:
            assert name in ledgers.kept


def said_of(name: str, ledgers: Ledgers) -> dict[str, set[str]]:
    return {action: found[name] for action, found in ledgers.found.items() if name in found}


def test_every_good_clip_is_kept_in_its_split(ledgers: Ledgers) -> None:
    lost = {name: ledgers.first[name] for name in ledgers.written.good if name in ledgers.first}
    assert lost == {}
    assert set(ledgers.written.good) <= set(ledgers.kept)
    assert len(ledgers.written.good) > 60


def test_clips_in_are_clips_kept_and_clips_rejected(ledgers: Ledgers) -> None:
    names = ledgers.written.names
    assert ledgers.clips_in == len(names) == len(set(names))
    assert sorted(names) == sorted([*ledgers.kept, *ledgers.first])


def test_a_clip_is_rejected_for_its_planted_fault_alone(ledgers: Ledgers) -> None:
    wanted = {name: fault.code for fault in PLANTED for name in ledgers.written.planted[fault]}
    assert {name: code for name, code in ledgers.first.items() if wanted.get(name) != code} == {}


def test_no_text_of_the_held_out_splits_is_left_in_training(ledgers: Ledgers) -> None:
    sides = Counter(ledgers.kept.values())
    assert min(sides[name] for name in SPLITS) > 10


# Faults of a manifest, a label, a run


@pytest.mark.parametrize("fault", cases(STOPS))
def test_a_fault_of_the_whole_stops_with_its_code_in_one_line(fault: Stop, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        fault.build(tmp_path)
    assert fault.code in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", cases(runs.MILD))
def test_a_fault_of_the_whole_that_harms_nothing_is_counted(fault: Mild, tmp_path: Path) -> None:
    assert fault.code in fault.build(tmp_path)


@pytest.mark.parametrize("fault", cases(runs.PREVENTED))
def test_a_fault_that_cannot_happen_does_not(fault: Prevented, tmp_path: Path) -> None:
    assert fault.build(tmp_path)


def test_archives_are_refused_with_a_way_to_unpack_them(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("../../outside.csv")
        tar.addfile(member, io.BytesIO())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("metadata.csv", "file_name,text\n")
    (tmp_path / "metadata.csv").write_bytes((tmp_path / "a.zip").read_bytes())
    for source, name in (("folder", "a.tar"), ("manifest", "a.zip"), ("manifest", "metadata.csv")):
        with pytest.raises(UserError, match="archives are not unpacked here"):
            open_source(data_params(source=source, path=str(tmp_path / name)))


# Streams


@pytest.mark.parametrize("fault", cases(streams.STREAMS))
def test_a_bad_chunk_earns_its_notice_and_costs_no_utterance(fault: Stream) -> None:
    stream = fault.build()
    intake = Intake(stream.declared, stream.limits)
    events = list(listen(stream.chunks, intake))
    assert fault.code in intake.counts
    assert sum(isinstance(event, Segment) for event in events) == stream.segments


# The catalogue


OF_A_RECORD = {"split.bridges_earlier", "split.earlier_overlap"}
"""Not faults of a corpus: they need the splits of an earlier release and are planted in tests/test_earlier.py."""
ASKED_FOR = {"text.numbers"}
"""No fault either, but what `data.numbers` asks for: tests/test_validate.py."""


def test_every_number_has_a_planted_fault_and_every_code_is_planted() -> None:
    known = codes()
    assert set(known) == set(CATALOGUE) == set(range(1, 93))
    assert {code for several in known.values() for code in several} == set(ACTIONS) - OF_A_RECORD - ASKED_FOR


def test_faults_have_names_of_their_own() -> None:
    slugs = Counter(fault.slug for fault in ALL_FAULTS)
    assert [slug for slug, count in slugs.items() if count > 1] == []


@pytest.mark.parametrize("number", sorted(CATALOGUE))
def test_where_an_action_is_not_the_usual_one_the_reason_stands_there(number: int) -> None:
    assert differs(number, codes()) == bool(CATALOGUE[number].reason)


def test_the_document_holds_the_catalogue() -> None:
    document = (ROOT / "docs/ugly-corpora.md").read_text(encoding="utf-8")
    shown = [line for line in document.splitlines() if line.startswith("|")]
    assert shown == table().splitlines(), "`python -m tests.ugly --table` prints the right one"


# The generator


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_equal_seeds_write_equal_corpora_and_other_seeds_others(ledgers: Ledgers, tmp_path: Path) -> None:
    one = contents(ledgers.written.folder)
    for seed in (SEED, SEED + 1):
        (tmp_path / str(seed)).mkdir()
        other = contents(write_corpus(tmp_path / str(seed), seed, (*CLIP_FAULTS, *containers.STUNTS)).folder)
        assert (one == other) == (seed == SEED)
        assert one.keys() == other.keys()


def test_the_command_lists_every_fault_with_file_code_and_action(ledgers: Ledgers) -> None:
    lines = planted(ledgers.written).splitlines()
    rows = [line.split(" | ") for line in lines[1:-1]]
    assert {(int(row[0]), row[3], row[4]) for row in rows} == {(f.number, f.code, f.action.value) for f in PLANTED}
    assert len(rows) == sum(map(len, ledgers.written.planted.values()))


# Checks that check: with a rule taken away, its faults would pass


def codes_of(written: Written, *faults: ClipFault) -> dict[str, str]:
    """The code that decoding alone gives the planted clips of some faults."""
    data = data_params(source="folder", path=str(written.folder), audio_column="file_name")
    names = {name for fault in faults for name in written.planted[fault]}
    clips = [clip for _, clip in open_source(data).clips if clip.name in names]
    return {clip.name: decode_clip(0, clip, "", audio.decode)[0].code for clip in clips}


def test_without_the_comparison_of_sizes_a_cut_wav_passes(ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [fault for fault in containers.CUT if fault.name in ("WAV cut in half", "WAV less one byte")]
    assert set(codes_of(ledgers.written, *faults).values()) == {"audio.truncated"}
    monkeypatch.setattr(audio, "plain_wav", lambda *_: None)
    monkeypatch.setattr(riff, "check_present", lambda *_: None)
    monkeypatch.setattr(riff, "_tail", lambda *_: ())
    monkeypatch.setattr(audio, "_compare", lambda *_: None)
    assert set(codes_of(ledgers.written, *faults).values()) == {""}


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_without_the_look_at_floats_nan_would_pass(ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [fault for fault in containers.NUMBERS if fault.code == "signal.nonfinite"]
    assert set(codes_of(ledgers.written, *faults).values()) == {"signal.nonfinite"}
    monkeypatch.setattr(FloatCheck, "judge", lambda _: None)
    assert "signal.nonfinite" not in codes_of(ledgers.written, *faults).values()


def test_without_the_rule_mojibake_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    text = clean("Gələcək".encode().decode("cp1252", "replace")).text
    assert [finding.code for finding in text_rules.text_findings(text, text)][:1] == ["text.mojibake"]
    monkeypatch.setattr(text_rules, "RULES", tuple(rule for rule in text_rules.RULES if rule is not script.mojibake))
    assert "text.mojibake" not in [finding.code for finding in text_rules.text_findings(text, text)]


def test_without_the_search_for_copies_both_would_be_kept(ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ledgers.written.folder.parent
    index = read_index(folder / "index.parquet")
    params = load_params(folder / "params.yaml").validate
    [fault] = [fault for fault in CLIP_FAULTS if fault.code == "manifest.duplicate_audio"]
    monkeypatch.setattr("asr.corpus.validate.copies", lambda *_: {})
    names = {row.name for row in validate(index, params, "az").rejections}
    assert names.isdisjoint(ledgers.written.planted[fault])
