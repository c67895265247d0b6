"""The pictures of the stage plot, inside the page."""

import base64
import struct
from collections.abc import Mapping
from pathlib import Path

from asr.errors import UserError
from asr.reporting.page.markup import Html, element, section

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CAPTIONS: Mapping[str, str] = {
    "summary": "Result: error rates with their intervals, training and corpus in one picture",
    "training": "Training: loss, learning rate, gradient norm and validation WER over steps",
    "evaluation": "Evaluation: WER by clip length, kinds of errors, most frequent confusions",
    "conditions": "Conditions: WER under noise, and how often words are right that the model is so sure of",
    "data": "Data: lengths, speaking rates, noise, sources and rejected clips",
}


def pictures_section(images: Mapping[str, Path]) -> Html:
    """All pictures, the known ones first and the others by name.

    Raises:
        UserError: a picture is missing or no PNG.
    """
    names = (*(name for name in CAPTIONS if name in images), *sorted(set(images) - set(CAPTIONS)))
    figures = [_figure(CAPTIONS.get(name, name), images[name]) for name in names]
    return section("plots", "Plots", *(figures or [element("p", "No pictures were drawn.", class_="note")]))


def _figure(caption: str, path: Path) -> Html:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; run plot again") from error
    if not data.startswith(SIGNATURE):
        raise UserError(f"{path}: not a PNG picture; run plot again")
    width, height = struct.unpack(">II", data[16:24])
    picture = element(
        "img",
        src=f"data:image/png;base64,{base64.b64encode(data).decode()}",
        alt=caption,
        # Known sizes keep the page from jumping while pictures are decoded.
        width=str(width),
        height=str(height),
        loading="lazy",
    )
    return element("figure", picture, element("figcaption", caption))
