"""Labels as arrays, and the checks that keep a wrong one from teaching the model anything.

Tokens are judged once before the first step, arrays when they are built: a fault of the collation shows
only there. In a Whisper vocabulary the ids below `<|endoftext|>` are text, and all above it are special.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from asr.corpus.edges import POSITIONS_PER_SECOND
from asr.errors import UserError
from asr.training.objective import IGNORED, Labels


def collate(texts: Sequence[Sequence[int]], prefix: Sequence[int], end: int) -> Labels:
    """Decoder input and targets of some clips; positions behind a label are masked by length, never by token id.

    Whisper pads with its end token: a mask by id would take the end token with it (transformers PR#19166).
    """
    longest = max(map(len, texts))
    fill = [longest - len(text) for text in texts]
    return Labels(
        decoder_input=torch.tensor([[*prefix, *text, *[end] * n] for text, n in zip(texts, fill, strict=True)]),
        targets=torch.tensor([[*text, end, *[IGNORED] * n] for text, n in zip(texts, fill, strict=True)]),
        lengths=torch.tensor([len(text) for text in texts]),
    )


def require_plain(clip: str, text: Sequence[int], end: int) -> None:
    """Refuses text tokens that hold a special one: prefix and end are added once, by `collate`.

    Raises:
        UserError: `label.no_eos` for an end token, `label.double_prefix` for any other special token.
    """
    if not text or max(text) < end:
        return
    place, token = next((place, token) for place, token in enumerate(text) if token >= end)
    if token == end:
        raise UserError(
            f"label.no_eos: clip {clip} has an end token ({token}) as text token {place + 1} of {len(text)}: its text "
            "would end there; take the token out of the transcript, or set model.name to a model whose tokenizer "
            "obeys add_special_tokens=False"
        )
    raise UserError(
        f"label.double_prefix: clip {clip} has the special token {token} as text token {place + 1} of {len(text)}: "
        "the prefix is added to the text later, once; take the token out of the transcript, or set model.name to a "
        "model whose tokenizer obeys add_special_tokens=False"
    )


def require_room(clip: str, tokens: int, positions: int) -> None:
    """Refuses a label of more tokens than the decoder has positions; `tokens` counts prefix, text and end."""
    if tokens > positions:
        raise UserError(
            f"label.too_long: clip {clip} has {tokens} label tokens, the model {positions} positions; set "
            f"validate.max_label_tokens to {positions} or less, and validate.tokenizer to the model's tokenizer.json"
        )


def require_alignable(clip: str, text: Sequence[int], duration: float) -> None:
    """Refuses a label whose CTC loss is infinite (Graves et al. 2006): a position a token, a blank between equals.

    Args:
        clip: its id.
        text: text tokens.
        duration: seconds of audio.
    """
    needed = len(text) + sum(a == b for a, b in pairwise(text))
    if needed > duration * POSITIONS_PER_SECOND:
        raise UserError(
            f"label.ctc_too_short: clip {clip} has {duration:.2f} s for {needed} CTC labels; "
            "lower validate.max_characters_per_second or set train.ctc_weight to 0"
        )


def require_sound(labels: Labels, clips: Sequence[str], prefix: Sequence[int], end: int) -> None:
    """Refuses arrays that would teach something else than one prefix, the text, and one end.

    Args:
        labels: the arrays of one micro-batch, on the CPU.
        clips: ids of its clips.
        prefix: the ids that generation starts with; its first is the model's `decoder_start_token_id`, which
            need not be the tokenizer's `bos_token` (transformers#29973).
        end: id of the end token.

    Raises:
        UserError: `label.all_masked`, `label.no_eos` or `label.double_prefix`, with the first clip's id.
    """
    targets, lengths = labels.targets.numpy(), labels.lengths.numpy()
    decoder_input = labels.decoder_input.numpy()
    _refuse((targets == IGNORED).all(axis=1), clips, "label.all_masked", "every target is masked: the loss is NaN")
    is_end = np.arange(targets.shape[1]) == lengths[:, None]  # (B, L + 1)
    wrong_end = ((targets == end) != is_end).any(axis=1) | ~is_end.any(axis=1)  # or the arrays end before it
    _refuse(wrong_end, clips, "label.no_eos", "the end token does not stand once, behind the text")
    wrong_prefix = (decoder_input[:, : len(prefix)] != prefix).any(axis=1)
    special = (decoder_input[:, len(prefix) :] > end).any(axis=1) | (targets > end).any(axis=1)
    _refuse(wrong_prefix | special, clips, "label.double_prefix", "the prefix does not stand once, before the text")


def _refuse(wrong: NDArray[np.bool_], clips: Sequence[str], code: str, what: str) -> None:
    if wrong.any():
        clip = clips[int(wrong.argmax())]
        raise UserError(
            f"{code}: clip {clip}: {what}; mend `collate` in asr/training/labels.py, the data are not at fault"
        )
