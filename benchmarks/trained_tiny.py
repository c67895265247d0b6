"""A Whisper that knows the benchmark's clips by heart, so that it ends its sentences like a trained one.

    python -m benchmarks.trained_tiny [--size tiny] [--clips 96] [--seed 1] [--threads 2]

The time that decoding takes depends on how many tokens come out, so random weights, which never stop, measure nothing.
What is trained here recognises these clips and no others: it serves to compare speeds, not qualities. The encoder
keeps its random weights, which let through enough to tell the clips apart, so what it makes of each clip is computed
once for each of the `WAYS` in which engines pad. The decoder learns from all of them, so that every engine gets the
right words. Of the vocabulary it learns the few hundred tokens that occur; the others keep random rows, whose scores
stay near 0. It ends when it knows all clips all ways, that is when the most probable token was right at every place,
which makes a greedy transcript right in whole; or after so many steps.
"""

import argparse
import hashlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from asr.devices import choose_compute
from asr.features import HOP, Edges, LogMel, padded_wave
from asr.models.build import EXPERIMENT, SpeechModel, save
from asr.models.tokenizer import end_id, prefix_ids
from asr.pcm import Pcm16
from asr.training.labels import collate
from asr.training.objective import IGNORED
from benchmarks.mix import CACHE, Spoken, speech_clips
from benchmarks.tiny import WIDTH_LAYERS_HEADS, Size, edges, whisper

RATE, RATE_WIDTH, WARM_UP_STEPS = 1e-3, 384, 40
"""Of AdamW, at this width; wider models get less, as in Whisper's own training."""
BATCH = 4
"""Clips in one optimizer step."""
WAYS = {"to the edge": 0.6, "silence to 30 s": 0.2, "zeros to 30 s": 0.2}
"""How a clip can be padded, and how often the decoder hears it so. faster-whisper 1.2.1 computes the spectrum first and
appends 0, which is not what silence looks like there; the others append silence to the samples."""
STEPS = 900
"""At most; the rate falls to 0 until then."""
LOUDER, SHARPER = 4.0, 4.0
"""What the weights of the encoder's convolutions and of the decoder's questions to the encoder begin with, as multiples
of their usual size: an untrained encoder's positions drown the sound, and the decoder would average over 30 s of it."""
LOSS = 0.01
"""A target token, over one pass: it must also be sure of what it knows, or int8 weights would undo it."""


@dataclass(frozen=True)
class Lesson:
    """One clip as the decoder gets it."""

    encoded: torch.Tensor
    """Shape = (positions, width)."""
    text: tuple[int, ...]
    """Token ids without prefix and end."""


@dataclass(frozen=True)
class Pupil:
    """What learns: a decoder, with a vocabulary of the tokens that occur."""

    decoder: torch.nn.Module
    ids: torch.Tensor
    """Of these tokens, rising."""
    rows: torch.nn.Parameter
    """Their embeddings, which are the output layer too, shape = (ids, width)."""
    prefix: tuple[int, ...]
    end: int

    def parameters(self) -> list[torch.nn.Parameter]:
        """All that learns."""
        return [self.rows, *(p for name, p in self.decoder.named_parameters() if not name.startswith("embed_tokens."))]

    @torch.no_grad()
    def write_rows(self) -> None:
        """Puts the embeddings in their places in the whole vocabulary."""
        self.decoder.get_parameter("embed_tokens.weight")[self.ids] = self.rows


def main() -> None:
    """Trains, whether or not there is such a model already."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(WIDTH_LAYERS_HEADS), default="tiny")
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    device = choose_compute(args.device, "fp32", args.threads).device
    print(make(args.size, args.clips, args.seed, device))


def trained(size: Size, clips: int, seed: int, device: torch.device) -> Path:
    """Folder of the model that knows `speech_clips(clips, seed)`; made now if there is none below `.scratch/`."""
    folder = place(size, speech_clips(clips, seed), seed)
    return folder if (folder / EXPERIMENT).exists() else make(size, clips, seed, device)


def place(size: Size, spoken: Sequence[Spoken], seed: int) -> Path:
    """Where the model that knows these clips is kept; another one for other edges, clips or code."""
    sound = b"".join(clip.pcm.tobytes() for clip in spoken)
    digest = hashlib.sha256(
        Path(__file__).read_bytes() + repr(edges(width=WIDTH_LAYERS_HEADS[size][0])).encode() + sound
    ).hexdigest()
    return CACHE / f"{size}-knows-{len(spoken)}-clips-{seed}-{digest[:12]}"


def make(size: Size, clips: int, seed: int, device: torch.device) -> Path:
    """Trains the model and saves it; its folder."""
    spoken = speech_clips(clips, seed)
    model = whisper(size, seed=seed)
    model.network.to(device)
    sharpen(model)
    lessons = all_lessons(model, spoken)
    known = learn(pupil(model, lessons[0]), lessons, np.random.default_rng(seed))
    folder = place(size, spoken, seed)
    folder.mkdir(parents=True, exist_ok=True)
    save(model, folder, {"clips": clips, "seed": seed, "known": known})
    return folder


@torch.no_grad()
def sharpen(model: SpeechModel) -> None:
    """Makes random weights tell clips apart."""
    encoder, decoder = model.network.get_encoder(), model.network.get_decoder()
    for convolution in (encoder.conv1, encoder.conv2):
        convolution.weight *= LOUDER
    for layer in decoder.layers:
        layer.encoder_attn.q_proj.weight *= SHARPER
        layer.encoder_attn.k_proj.weight *= SHARPER


@torch.no_grad()
def all_lessons(model: SpeechModel, spoken: Sequence[Spoken]) -> list[list[Lesson]]:
    """Every clip in each of the `WAYS`, in their order."""
    texts = model.tokenizer([clip.text for clip in spoken], add_special_tokens=False).input_ids
    log_mel = LogMel(model.network.config.num_mel_bins)
    encoder = model.network.get_encoder()
    lessons: list[list[Lesson]] = [[] for _ in WAYS]
    clips = tqdm(zip(spoken, texts, strict=True), total=len(spoken), desc="encoding", unit="clip", disable=None)
    for clip, text in clips:
        for found, features in zip(lessons, padded(clip.pcm, model.edges, log_mel), strict=True):
            encoded = encoder(features.to(model.network.device)).last_hidden_state[0]
            found.append(Lesson(encoded, tuple(text)))
    return lessons


def padded(clip: Pcm16, edges: Edges, log_mel: LogMel) -> Iterator[torch.Tensor]:
    """Log-mel of the clip in each of the `WAYS`, shape = (1, mel bands, frames)."""
    longest = edges.padded_samples(len(edges.seconds) - 1)
    for samples in (edges.padded_samples(edges.index(len(clip))), longest):
        yield log_mel(padded_wave([clip], samples))
    frames = len(clip) // HOP
    features = log_mel(padded_wave([clip], (frames + 1) * HOP))[..., :frames]
    yield F.pad(features, (0, longest // HOP - frames))


def pupil(model: SpeechModel, lessons: Sequence[Lesson]) -> Pupil:
    """The model's decoder, and the tokens of these lessons."""
    prefix, end = prefix_ids(model.tokenizer, model.language), end_id(model.tokenizer)
    ids = torch.tensor(sorted({*prefix, end, *(token for lesson in lessons for token in lesson.text)}))
    decoder = model.network.get_decoder()
    rows = decoder.embed_tokens.weight.detach()[ids].clone()
    return Pupil(decoder, ids.to(rows.device), torch.nn.Parameter(rows), tuple(prefix), end)


def learn(pupil: Pupil, lessons: Sequence[Sequence[Lesson]], rng: np.random.Generator) -> dict[str, float]:
    """Trains the pupil; the share of clips that it knew in the end, of each way.

    Args:
        pupil: is changed.
        lessons: of the same clips in each of the `WAYS`.
        rng: draws the order of the clips and how each is padded.
    """
    rate = RATE * min(1.0, RATE_WIDTH / pupil.rows.shape[1])
    optimizer = torch.optim.AdamW(pupil.parameters(), lr=rate, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP_STEPS) * (1 - step / STEPS)
    )
    right = np.zeros((len(WAYS), len(lessons[0])), bool)
    losses: deque[float] = deque(maxlen=-(-len(lessons[0]) // BATCH))
    with tqdm(islice(drawn(len(lessons[0]), rng), STEPS), total=STEPS, desc="learning", disable=None) as steps:
        for chosen in steps:
            loss, found = heard(pupil, [lessons[way][clip] for way, clip in chosen])
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(pupil.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            right[tuple(zip(*chosen, strict=True))] = found
            losses.append(float(loss.detach()))
            steps.set_postfix(loss=f"{np.mean(losses):.3f}", known=f"{right.mean():.2f}", refresh=False)
            if right.all() and np.mean(losses) < LOSS:
                break
    pupil.write_rows()
    return {way: round(float(share), 4) for way, share in zip(WAYS, right.mean(axis=1), strict=True)}


def drawn(clips: int, rng: np.random.Generator) -> Iterator[list[tuple[int, int]]]:
    """Steps without end: (which of the `WAYS`, clip), every clip once in each pass."""
    while True:
        order = rng.permutation(clips)
        for start in range(0, clips, BATCH):
            chosen = order[start : start + BATCH].tolist()
            yield list(zip(rng.choice(len(WAYS), len(chosen), p=[*WAYS.values()]).tolist(), chosen, strict=True))


def heard(pupil: Pupil, lessons: Sequence[Lesson]) -> tuple[torch.Tensor, list[bool]]:
    """Mean cross-entropy a target token, and whether each clip's tokens were all the most probable ones."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for place, lesson in enumerate(lessons):
        by_length[len(lesson.encoded)].append(place)
    parts = [_decoded(pupil, [lessons[place] for place in places]) for places in by_length.values()]
    states, targets = (torch.cat(part) for part in zip(*parts, strict=True))
    logits = states @ pupil.rows.T
    hits = (logits.argmax(dim=-1) == targets).tolist()
    right = [False] * len(lessons)
    start = 0
    for place in (place for places in by_length.values() for place in places):
        end = start + len(lessons[place].text) + 1
        right[place], start = all(hits[start:end]), end
    return F.cross_entropy(logits, targets), right


def _decoded(pupil: Pupil, lessons: Sequence[Lesson]) -> tuple[torch.Tensor, torch.Tensor]:
    """The decoder's states where a token is wanted, and the places of these tokens; all lessons of one length."""
    labels = collate([lesson.text for lesson in lessons], pupil.prefix, pupil.end)
    device = pupil.ids.device
    states = pupil.decoder(
        inputs_embeds=pupil.rows[torch.searchsorted(pupil.ids, labels.decoder_input.to(device))],
        encoder_hidden_states=torch.stack([lesson.encoded for lesson in lessons]),
        use_cache=False,
    ).last_hidden_state[:, -labels.targets.shape[1] :]
    wanted = labels.targets != IGNORED
    return states[wanted.to(device)], torch.searchsorted(pupil.ids, labels.targets[wanted].to(device))


if __name__ == "__main__":
    main()
