"""What model cards have in common: Hugging Face's front matter, terms of the data, and how a model is used."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

LICENCES = (
    *("apache-2.0", "cc0-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0", "mit", "odbl", "odc-by", "pddl"),
    *("cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
)
"""Identifiers of https://huggingface.co/docs/hub/repositories-licenses that data sets use; others are `other`."""
UNNAMED = "see-readme"
"""The Hub's name of terms takes ASCII letters only; the text of the card names them in full."""
SCRATCH = "scratch"
TASK = "automatic-speech-recognition"
LANGUAGES = {
    "az": "Azerbaijani",
    "kk": "Kazakh",
    "ky": "Kyrgyz",
    "tk": "Turkmen",
    "tr": "Turkish",
    "uz": "Uzbek",
}
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
CARRY_OVER = (
    "Terms of the data may carry over to weights that were trained on it: read them, and those of the base model,\n"
    "before you share or sell anything made with this model."
)


@dataclass(frozen=True)
class Rates:
    """What a card claims for one split; rates are fractions."""

    split: str
    name: str
    """What the split is, in words."""
    wer: float
    cer: float | None
    """None where it was not measured."""


@dataclass(frozen=True)
class Origin:
    """What a model was made of."""

    language: str
    base: str
    """Name of the base model, or `scratch`."""
    corpus: str | None
    """Hub id of the data set; None for files."""
    licence: str | None
    """Terms of the data; None where they are unknown."""

    @property
    def base_name(self) -> str:
        """The base model as a card may name it: of a folder on somebody's machine only the last part."""
        return self.base if hub_id(self.base) else Path(self.base).name

    @property
    def language_name(self) -> str:
        """In English; the code where this file does not know it."""
        return LANGUAGES.get(self.language, self.language)


def hub_id(name: str | None) -> str | None:
    """The name if it is one of the Hub: `owner/name`, and no folder here."""
    return name if name and _HUB_ID.fullmatch(name) and not Path(name).exists() else None


def front_matter(origin: Origin, rates: Sequence[Rates]) -> str:
    """The YAML block at the top of a model card, with its two rulers; rates become percent.

    Keys: https://huggingface.co/docs/hub/model-cards and `model-index` of Papers with Code.
    """
    base, corpus = hub_id(origin.base), hub_id(origin.corpus)
    content = {
        "language": [origin.language],
        **licence_keys(origin.licence),
        "library_name": "transformers",
        "pipeline_tag": TASK,
        **({"base_model": base} if base else {}),
        **({"datasets": [corpus]} if corpus else {}),
        "metrics": ["wer", "cer"],
        "model-index": [{"name": _model_name(origin), "results": [_result(corpus, item) for item in rates]}],
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)}---"


def licence_keys(licence: str | None) -> dict[str, str]:
    """Hugging Face's identifier, or `other` with the name as stated; nothing where nobody states the terms."""
    if licence is None or not licence.strip():
        return {}
    if licence.strip().lower() in LICENCES:
        return {"license": licence.strip().lower()}
    slug = re.sub(r"[^\w.-]+", "-", licence.strip().lower()).strip("-")
    return {"license": "other", "license_name": slug if slug.isascii() and slug else UNNAMED}


def data_and_licence(origin: Origin) -> str:
    """Where the data come from and on which terms, with what follows for the weights."""
    data = f"The data set [`{origin.corpus}`](https://huggingface.co/datasets/{origin.corpus})"
    source = data if hub_id(origin.corpus) else "A corpus without a name on the Hub"
    terms = f"under the terms **{origin.licence}**" if origin.licence else "on terms that nobody has stated"
    limits = " That excludes commercial use." if "-nc" in (origin.licence or "").lower() else ""
    return f"{source}, {terms}.{limits}\n{CARRY_OVER}"


def how_to_use(recording: str = "recording.wav") -> str:
    """With transformers alone, and with this repository."""
    return (
        "```python\n"
        "from transformers import pipeline\n\n"
        f'recognise = pipeline("{TASK}", model="models/asr")  # the folder of this model\n'
        f'print(recognise("{recording}")["text"])\n'
        "```\n\n"
        "In the repository that trained it, decoding is that of the evaluation: clips are padded to the next length\n"
        "of training, and recordings may be hours long.\n\n"
        f"```sh\npython -m asr transcribe {recording}\n```"
    )


def _model_name(origin: Origin) -> str:
    base = "whisper" if origin.base == SCRATCH else origin.base_name.rpartition("/")[2]
    return f"{base}-{origin.language}"


def _result(corpus: str | None, rates: Rates) -> dict[str, Any]:
    known = {"wer": rates.wer, "cer": rates.cer}
    return {
        "task": {"type": TASK, "name": "Automatic Speech Recognition"},
        "dataset": {
            "name": f"{corpus or 'a corpus of its own'}, {rates.name}",
            "type": corpus or "local",
            "split": rates.split,
        },
        "metrics": [
            {"type": key, "value": round(100 * value, 2), "name": f"{key.upper()} (%)"}
            for key, value in known.items()
            if value is not None
        ],
    }
