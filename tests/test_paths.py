"""Names that a corpus gives: none leads out of it, none that is no plain file is opened, clashes are seen."""

import os
import socket
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from asr.corpus.sources.paths import case_clashes, contained, regular_file
from asr.pcm import AudioError

UNSAFE = [
    ("/etc/passwd", "is absolute"),
    ("//server/a.wav", "is absolute"),
    ("../outside.wav", r"holds '\.\.'"),
    ("a/../../outside.wav", r"holds '\.\.'"),
    ("a/../inside.wav", r"holds '\.\.'"),
    ("..", r"holds '\.\.'"),
    ("a\\b.wav", "backslash"),
    ("..\\outside.wav", "backslash"),
    ("C:/outside.wav", "drive letter"),
    ("c:outside.wav", "drive letter"),
    ("http://example.org/a.wav", "is a URL"),
    ("file:///etc/passwd", "is a URL"),
    ("hf://datasets/a/b.wav", "is a URL"),
    ("a\0.wav", "NUL"),
    ("a\n.wav", "control"),
    ("a\x7f.wav", "control"),
    ("a\x85.wav", "control"),
    (" a.wav", "space"),
    ("a.wav ", "space"),
    ("a /b.wav", "space"),
    ("a/\u00a0b.wav", "space"),
    ("\ud800.wav", "surrogate"),
    ("\udcff.wav", "surrogate"),
    ("", "is empty"),
    ("link-out/outside.wav", "passes the linked folder 'link-out'"),
    ("link-folder/inside.wav", "passes the linked folder 'link-folder'"),
    ("sub/link-up/inside.wav", "passes the linked folder 'link-up'"),
    ("link-out.wav", "is a link out of the corpus"),
    ("link-sibling.wav", "is a link out of the corpus"),
    ("dangling-out.wav", "is a link out of the corpus"),
    ("loop/a.wav", "passes the linked folder 'loop'"),
    ("loop", "cannot be resolved"),
    ("x" * 300 + ".wav", "cannot be resolved"),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with a clip inside, one outside, and links to both; a sibling's name starts with the corpus's."""
    top = tmp_path_factory.mktemp("top")
    root = top / "corpus"
    for path in (root / "inside.wav", root / "sub" / "b.wav", top / "corpus-2" / "outside.wav", top / "outside.wav"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound")
    for link, target in {
        "link-out": top / "corpus-2",
        "link-folder": root / "sub",
        "sub/link-up": root,
        "link-out.wav": top / "outside.wav",
        "link-sibling.wav": top / "corpus-2" / "outside.wav",
        "dangling-out.wav": top / "nothing.wav",
        "dangling-in.wav": root / "nothing.wav",
        "link-in.wav": root / "inside.wav",
        "loop": root / "loop",
    }.items():
        (root / link).symlink_to(target)
    (root / unicodedata.normalize("NFD", "şəkərçöl.wav")).write_bytes(b"sound")
    (root / unicodedata.normalize("NFC", "gözəl.wav")).write_bytes(b"sound")
    return root


@pytest.mark.parametrize(("name", "why"), UNSAFE)
def test_a_name_that_is_not_plain_or_leads_out_is_unsafe(corpus, name, why):
    with pytest.raises(AudioError, match=why) as caught:
        regular_file(corpus, name)
    assert caught.value.code == "path.unsafe"
    caught.value.message.encode()  # can be stored and printed


PLAIN = ["inside.wav", "./inside.wav", "sub//b.wav", "sub/./b.wav", "link-in.wav"]


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_relative_name_is_found(corpus, name):
    assert regular_file(corpus, name).read_bytes() == b"sound"


@pytest.mark.parametrize("name", ["a..b/x.wav", "~/x.wav", "100%.wav", "a b.wav", "...", "ə.wav", "$HOME.wav"])
def test_odd_but_plain_names_stay_inside(corpus, name):
    assert contained(corpus, name) == corpus / name


def test_links_above_the_corpus_are_no_matter(corpus, tmp_path):
    (tmp_path / "alias").symlink_to(corpus)
    for name in PLAIN:
        assert regular_file(tmp_path / "alias", name).read_bytes() == b"sound"


def test_a_relative_root_works(corpus, monkeypatch):
    monkeypatch.chdir(corpus.parent)
    for root, name in [("corpus", "inside.wav"), ("corpus", "link-in.wav"), (".", "corpus/inside.wav")]:
        assert regular_file(Path(root), name).read_bytes() == b"sound"
    with pytest.raises(AudioError, match="link out"):
        regular_file(Path("corpus"), "link-out.wav")


PIECES = st.sampled_from(
    [
        *(
            "..",
            ".",
            "/",
            "//",
            "\\",
            "inside.wav",
            "sub",
            "link-out",
            "link-folder",
            "link-out.wav",
            "link-sibling.wav",
        ),
        *(
            "loop",
            "outside.wav",
            "C:",
            "\0",
            " ",
            "link-up",
            "b.wav",
            "dangling-out.wav",
            "corpus-2",
            "~",
            "／",
            "．．",
        ),
    ]
)
NAMES = st.one_of(st.text(max_size=20), st.lists(PIECES, max_size=7).map("".join), st.lists(PIECES).map("/".join))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("sub/link-up/link-out/outside.wav")
@given(NAMES)
def test_whatever_the_name_the_path_is_inside_or_there_is_a_reason(corpus, name):
    path, code = corpus, "path.unsafe"
    try:
        path = contained(corpus, name)
    except AudioError as error:
        code = error.code
    assert path.resolve().is_relative_to(corpus.resolve())
    assert code == "path.unsafe"


@pytest.mark.parametrize("name", ["no.wav", "no/such.wav", "inside.wav/x", "dangling-in.wav"])
def test_what_is_not_there_is_missing(corpus, name):
    with pytest.raises(AudioError, match=r"no such file$") as caught:
        regular_file(corpus, name)
    assert caught.value.code == "audio.missing"


@pytest.mark.parametrize("name", ["sub", ".", "sub/"])
def test_a_folder_is_unreadable(corpus, name):
    with pytest.raises(AudioError, match="no regular file but a folder") as caught:
        regular_file(corpus, name)
    assert caught.value.code == "audio.unreadable"


def test_fifos_sockets_and_devices_are_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo("fifo.wav")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.wav")
        for name, kind in [("fifo.wav", "FIFO"), ("socket.wav", "socket")]:
            with pytest.raises(AudioError, match=f"no regular file but a {kind}") as caught:
                regular_file(tmp_path, name)
            assert caught.value.code == "audio.unreadable"
    with pytest.raises(AudioError, match="no regular file but a device"):
        regular_file(Path("/dev"), "null")


@pytest.mark.parametrize("asked", ["is_symlink", "stat"])
def test_a_folder_or_file_without_access_is_unreadable(corpus, monkeypatch, asked):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, asked, refuse)
    with pytest.raises(AudioError) as caught:
        regular_file(corpus, "sub/b.wav")
    assert caught.value.code == "audio.unreadable"


@pytest.mark.parametrize(("given_form", "there", "name"), [("NFC", "NFD", "şəkərçöl.wav"), ("NFD", "NFC", "gözəl.wav")])
def test_a_file_in_another_unicode_form_is_named(corpus, given_form, there, name):
    with pytest.raises(AudioError, match=rf"another Unicode form \({there}\) exists") as caught:
        regular_file(corpus, unicodedata.normalize(given_form, name))
    assert caught.value.code == "audio.missing"


NFD = unicodedata.normalize("NFD", "ö.wav")
CLASHES = [
    (["a.wav", "b.wav"], {}),
    (["a.wav", "A.wav"], {0: "A.wav"}),
    (["A.wav", "a.wav"], {1: "A.wav"}),
    (["Train/a.wav", "train/a.wav", "TRAIN/A.WAV"], {0: "TRAIN/A.WAV", 1: "TRAIN/A.WAV"}),
    (["Ş.wav", "ş.wav"], {1: "Ş.wav"}),
    (["\u00f6.wav", NFD], {0: NFD}),
    (["i.wav", "ı.wav", "İ.wav"], {}),
    (["I.wav", "i.wav"], {1: "I.wav"}),
    (["a.wav", "a.wav", "", ""], {}),
]


@pytest.mark.parametrize(("names", "clashes"), CLASHES)
def test_names_that_some_systems_take_for_one_clash(names, clashes):
    assert case_clashes(names) == clashes


@given(
    st.lists(st.text("aAbB", min_size=1, max_size=2), unique=True).flatmap(
        lambda names: st.tuples(st.just(names), st.permutations(names))
    )
)
def test_which_name_clashes_does_not_depend_on_the_order_and_one_of_each_stays(pair):
    names, shuffled = pair
    found = {names[place]: other for place, other in case_clashes(names).items()}
    assert found == {shuffled[place]: other for place, other in case_clashes(shuffled).items()}
    kept = [name.lower() for name in names if name not in found]
    assert sorted(kept) == sorted({name.lower() for name in names})
