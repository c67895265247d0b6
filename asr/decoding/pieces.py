"""Which tokens spell which word: tokens of a byte-level BPE are bytes, and a letter such as `ə` has two.

A letter belongs to every token that holds one of its bytes. White space belongs to the word behind it, since a token
mostly begins with the space before its word; white space behind the last word belongs to none.
"""

from collections.abc import Iterator, Sequence

from tokenizers.pre_tokenizers import ByteLevel
from transformers import WhisperTokenizer

from asr.models.tokenizer import end_id

Span = tuple[int, int]
"""Tokens from the first to before the second."""

_UNREADABLE = "\ufffd"


def token_bytes(tokenizer: WhisperTokenizer) -> list[bytes]:
    """What each text token spells, by id."""
    names = tokenizer.convert_ids_to_tokens(list(range(end_id(tokenizer))))
    byte_of = _byte_of_letter()
    return [bytes(byte_of[letter] for letter in name) for name in names]


def word_spans(text: str, pieces: Sequence[bytes]) -> list[Span]:
    """The tokens of each word of `text.split()`; neighbours share a token that holds parts of both.

    The text and the tokens may differ in white space: some tokenizers take the space before a comma away.

    Args:
        text: as decoded from the tokens, stripped or not.
        pieces: what each token spells.
    """
    letters = _letter_spans(pieces)
    words = text.split()
    assert sum(map(len, words)) == len(letters), "the text is that of the tokens"
    spans, start = [], 0
    for word in words:
        stop = start + len(word)
        spans.append((letters[start][0], letters[stop - 1][1]))
        start = stop
    return spans


def _letter_spans(pieces: Sequence[bytes]) -> list[Span]:
    """The tokens of every character that is not white space, with the white space before it."""
    owners = [token for token, piece in enumerate(pieces) for _ in piece]
    spans, first, stop = [], 0, 0
    for character, size in _characters(b"".join(pieces)):
        stop += size
        if not character.isspace():
            spans.append((owners[first], owners[stop - 1] + 1))
            first = stop
    return spans


def _characters(data: bytes) -> Iterator[tuple[str, int]]:
    """Characters of UTF-8 with their numbers of bytes; what is none becomes U+FFFD as with `errors="replace"`."""
    while data:
        try:
            readable, wrong = data.decode(), 0
        except UnicodeDecodeError as error:
            readable, wrong = data[: error.start].decode(), error.end - error.start
        sizes = [len(character.encode()) for character in readable]
        yield from zip(readable, sizes, strict=True)
        if wrong:
            yield _UNREADABLE, wrong
        data = data[sum(sizes) + wrong :]


def _byte_of_letter() -> dict[str, int]:
    """How byte-level BPE writes bytes: a printable one as itself, the others in order from U+0100 on."""
    alphabet = sorted(ByteLevel.alphabet())
    printable = [ord(letter) for letter in alphabet if ord(letter) < 256]
    others = sorted(set(range(256)) - set(printable))
    return dict(zip(alphabet, [*printable, *others], strict=True))
