"""How many tokens a label will have, before there is a model: with its prefix and its end token.

Whisper's decoder has 448 positions; a longer label is an error in the middle of training, or a crash on the
device. Without a tokenizer the length is bounded from above: byte-level BPE merges bytes and never splits
them, so a text has at most as many tokens as UTF-8 bytes (Radford et al. 2019, section 2.2).
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from asr.corpus.findings import Finding
from asr.errors import UserError

PREFIX_TOKENS = 4
"""`<|startoftranscript|>`, the language, the task, `<|notimestamps|>`."""
END_TOKENS = 1
EXTRA_TOKENS = PREFIX_TOKENS + END_TOKENS
_MOST_BYTES = 4
"""Of one character in UTF-8."""


def too_long_labels(texts: Sequence[str], most: int, tokenizer: Path | None) -> Iterator[tuple[int, Finding]]:
    """Place and finding of every text whose label has, or without a tokenizer may have, more than `most` tokens.

    Args:
        texts: cleaned transcripts.
        most: tokens of the longest label, prefix and end included.
        tokenizer: a `tokenizer.json`; only texts whose bound exceeds `most` are tokenized.

    Raises:
        UserError: the tokenizer cannot be read.
    """
    room = most - EXTRA_TOKENS
    long = [place for place, text in enumerate(texts) if _MOST_BYTES * len(text) > room]
    places = [place for place in long if _bytes(texts[place]) > room]
    lengths = label_lengths([texts[place] for place in places], tokenizer)
    for place, length in zip(places, lengths, strict=True):
        if length > most:
            yield place, Finding("label.too_long", _message(length, most, tokenizer), length, most)


def tokenizer_files(tokenizer: str | None, folder: Path) -> list[Path]:
    """The tokenizer, if one is named: it must stand in `folder`, which DVC watches, lest a new one go unnoticed.

    Raises:
        UserError: it stands elsewhere.
    """
    if tokenizer is None:
        return []
    path = Path(tokenizer)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"validate.tokenizer = '{tokenizer}': not in '{folder}' (validate.external), which is a declared "
            "dependency of the stage; put the file there"
        )
    return [path]


def label_lengths(texts: Sequence[str], tokenizer: Path | None) -> list[int]:
    """Tokens of each label with prefix and end: exact with a `tokenizer.json`, else an upper bound.

    Raises:
        UserError: the tokenizer cannot be read.
    """
    if tokenizer is None:
        return [_bytes(text) + EXTRA_TOKENS for text in texts]
    # Lone surrogates have no UTF-8; text.control rejects them, so that any count will do.
    readable = [text.encode("utf-8", "replace").decode() for text in texts]
    return [
        len(found.ids) + EXTRA_TOKENS for found in _load(tokenizer).encode_batch(readable, add_special_tokens=False)
    ]


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _message(length: int, most: int, tokenizer: Path | None) -> str:
    if tokenizer is None:
        how = "at most, for every byte may be a token; name a tokenizer.json in validate.tokenizer to count them"
    else:
        how = f"counted with {tokenizer.name}"
    return f"{length} tokens with prefix and end ({how}); the most is {most}: cut the clip"


def _load(path: Path) -> Any:
    """A tokenizer that neither cuts nor pads, whatever its file says."""
    from tokenizers import Tokenizer

    with _TokenizerErrors(path):
        encoder = Tokenizer.from_file(str(path))
    encoder.no_truncation()
    encoder.no_padding()
    return encoder


class _TokenizerErrors(AbstractContextManager[None]):
    """Turns what `tokenizers` raises for any bad file, the bare class `Exception` and no other, into a UserError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is Exception:
            remedy = "give the tokenizer.json of the model, or null for an upper bound"
            raise UserError(f"validate.tokenizer: {self.path}: {error}; {remedy}") from error
