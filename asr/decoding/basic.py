"""Whisper's own normaliser, for the one score that is compared with published figures.

It is not ours because it follows English: İ becomes two letters and the word falls apart there, I becomes i, and
words in brackets are lost. The rate under it stands beside the primary one and never in its place.
"""

from transformers.models.whisper.english_normalizer import BasicTextNormalizer

from asr.scoring.wer import TextForm


def basic_normalizer() -> TextForm:
    """`BasicTextNormalizer` as papers and model cards use it for languages other than English.

    Lower case, brackets removed with what they hold, and a space for every mark, sign and punctuation character
    (Radford et al. 2022, appendix C). Accents stay: without them real errors would vanish.
    """
    form: TextForm = BasicTextNormalizer(remove_diacritics=False)
    return form
