"""A Whisper tokenizer of one's own: byte-level BPE learnt from training text alone.

`WhisperTokenizer` takes a language's id by its place behind `<|startoftranscript|>`, in the order of
Whisper's language list, so the whole list is carried whatever the language of the corpus.
"""

import json
from collections.abc import Iterable

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import WhisperTokenizer
from transformers.models.whisper.tokenization_whisper import LANGUAGES

END = "<|endoftext|>"
START = "<|startoftranscript|>"
TASK = "transcribe"
SPECIAL_TOKENS = (
    END,
    START,
    *(f"<|{code}|>" for code in LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
_NEIGHBOURS = {"ky": "kk"}
"""Languages that Whisper has no token for, and the nearest one that it has."""


def train_tokenizer(texts: Iterable[str], vocabulary: int, language: str) -> WhisperTokenizer:
    """A tokenizer whose ids below that of `<|endoftext|>` are text and all others special.

    Args:
        texts: transcripts of the training split.
        vocabulary: number of text tokens; 256 are the bytes, so that any text can be written.
        language: code of the language in the prefix.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(
        sorted(texts), trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    )
    learnt = json.loads(bpe.to_str())["model"]
    by_id = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
    names = [*by_id, *SPECIAL_TOKENS]
    return WhisperTokenizer(
        vocab={name: index for index, name in enumerate(names)},
        merges=[tuple(pair) for pair in learnt["merges"]],
        language=token_language(language),
        task=TASK,
        pad_token=END,
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
    )


def token_language(language: str) -> str:
    """The code in the token that announces `language` to Whisper: its own, or that of a near relative."""
    return _NEIGHBOURS.get(language, language)


def prefix_ids(tokenizer: WhisperTokenizer, language: str) -> list[int]:
    """Ids of `<|startoftranscript|><|language|><|transcribe|><|notimestamps|>`, taken by name."""
    names = (START, f"<|{token_language(language)}|>", f"<|{TASK}|>", "<|notimestamps|>")
    return [int(tokenizer.convert_tokens_to_ids(name)) for name in names]


def end_id(tokenizer: WhisperTokenizer) -> int:
    """Id of `<|endoftext|>`; smaller ids are text."""
    return int(tokenizer.convert_tokens_to_ids(END))


def language_ids(tokenizer: WhisperTokenizer) -> dict[str, int]:
    """Id of every language token that the tokenizer has, by token."""
    names = [f"<|{code}|>" for code in LANGUAGES]
    return {name: int(tokenizer.convert_tokens_to_ids(name)) for name in names if name in tokenizer.get_vocab()}
