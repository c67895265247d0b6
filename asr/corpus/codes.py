"""Every reason code and what happens to a clip, a run or a stream that earns it.

Codes are a public contract: stable, and never used again for another meaning. `docs/bad-data.md` explains
each to users, and a test compares the two.
"""

from enum import Enum


class Action(Enum):
    """What a code leads to."""

    STOP = "stop"
    """The run ends with one line and a non-zero status."""
    REJECT = "reject"
    """The clip leaves the corpus, with a row in `data/splits/rejected.jsonl`."""
    REPAIR = "repair"
    """Mended by a stated rule; the clip is kept, with a row in `data/splits/repaired.jsonl`."""
    WARN = "warn"
    """Kept as it is and counted, with a row in `data/splits/warned.jsonl`."""


def _all(action: Action, codes: str) -> dict[str, Action]:
    return dict.fromkeys(codes.split(), action)


ACTIONS = {
    **_all(
        Action.STOP,
        "manifest.duplicate_id manifest.schema manifest.row_count manifest.empty manifest.length_mismatch "
        "text.encoding split.unstable split.empty "
        "label.ctc_too_short label.double_prefix label.no_eos label.all_masked "
        "run.identity_mismatch config.unknown_key config.type stream.protocol",
    ),
    **_all(
        Action.REJECT,
        "audio.missing audio.unreadable audio.zero_bytes audio.no_samples audio.truncated audio.decode_timeout "
        "audio.decode_crash audio.hash_mismatch audio.not_audio audio.undecodable audio.header_length "
        "audio.duration_mismatch audio.header_absurd audio.bad_rate audio.bad_channels audio.bad_format "
        "audio.params_change audio.unsupported_codec audio.multi_stream audio.encrypted "
        "signal.nonfinite signal.out_of_range signal.silent_with_text signal.clipped signal.antiphase "
        "signal.too_short signal.too_long "
        "text.empty text.mojibake text.control text.script text.tag text.special_token text.loop text.char_rate "
        "label.too_long "
        "manifest.duplicate_audio manifest.near_duplicate_audio manifest.conflicting_text manifest.bad_number "
        "path.unsafe split.text_overlap split.near_text_overlap split.near_audio_overlap split.external_overlap "
        "split.earlier_overlap split.bridges_earlier "
        "stream.partial_sample stream.dtype_change stream.format_change stream.nonfinite",
    ),
    **_all(
        Action.REPAIR,
        "audio.header_open_size signal.resampled signal.dc_offset text.bom text.line_breaks text.invisible "
        "text.not_nfc text.casing text.punct_form text.spaces text.lookalike text.numbers manifest.order",
    ),
    **_all(
        Action.WARN,
        "audio.wrong_extension audio.trailing_bytes "
        "signal.negative_example signal.some_clipping signal.channels_differ signal.narrowband signal.long_silence "
        "signal.low_snr signal.little_speech signal.tone signal.rate_mislabel signal.cut_edge signal.dropout "
        "text.mixed_script text.language text.alphabet text.ascii_folded text.digits text.all_caps text.unusual_rate "
        "manifest.licence manifest.pii split.group_overlap split.near_conflicting_text "
        "stream.empty_chunk stream.gap stream.repeat stream.max_segment stream.no_speech",
    ),
}
"""What each code leads to."""
