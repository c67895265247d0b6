"""From clips to text: batched greedy or beam search with a key-value cache, on unpadded input."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm
from transformers import GenerationConfig, GenerationMixin, WhisperForConditionalGeneration, WhisperTokenizer

from asr.features import Edges, LogMel, padded_wave
from asr.models.tokenizer import end_id, prefix_ids
from asr.pcm import SAMPLE_RATE, Pcm16

TOKENS_PER_SECOND = 30
"""Cap on text tokens for a second of audio; above any speaking rate that validation lets through."""
SPARE_TOKENS = 10
"""What even the shortest clip may have on top."""


@dataclass(frozen=True)
class Hypothesis:
    """What the model heard in one clip."""

    text: str
    capped: bool
    """The token cap ended the text: the model did not stop by itself."""


@dataclass(frozen=True)
class Transcriber:
    """A model with all that decoding needs."""

    model: WhisperForConditionalGeneration
    tokenizer: WhisperTokenizer
    log_mel: LogMel
    edges: Edges
    language: str
    beams: int
    batch_size: int

    def transcribe(self, clips: Sequence[Pcm16], title: str) -> list[Hypothesis]:
        """The hypotheses, in the order of the clips.

        Args:
            clips: samples at 16 kHz, none longer than the last edge.
            title: what the progress bar says.
        """
        found: dict[int, Hypothesis] = {}
        self.model.eval()
        with torch.inference_mode(), tqdm(total=len(clips), desc=title, unit="clip", disable=None, leave=False) as bar:
            for edge, batch in self._batches([self.edges.index(len(clip)) for clip in clips]):
                hypotheses = self._decode([clips[i] for i in batch], edge)
                found.update(zip(batch, hypotheses, strict=True))
                bar.update(len(batch))
        return [found[i] for i in range(len(clips))]

    def _batches(self, edges: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        for edge in sorted(set(edges)):
            same = [i for i, value in enumerate(edges) if value == edge]
            for start in range(0, len(same), self.batch_size):
                yield edge, same[start : start + self.batch_size]

    def _decode(self, clips: Sequence[Pcm16], edge: int) -> list[Hypothesis]:
        device = self.model.device
        samples = self.edges.padded_samples(edge)
        log_mel = self.log_mel(padded_wave(clips, samples).to(device)).to(self.model.dtype)
        prefix = prefix_ids(self.tokenizer, self.language)
        cap = min(
            self.model.config.max_target_positions - len(prefix),
            SPARE_TOKENS + round(TOKENS_PER_SECOND * samples / SAMPLE_RATE),
        )
        # Whisper's own generate() adds long-form logic for 30 s windows; the plain one is what short clips need.
        encoded = self.model.get_encoder()(log_mel)
        tokens = GenerationMixin.generate(
            self.model,
            encoder_outputs=encoded,
            attention_mask=torch.ones(encoded.last_hidden_state.shape[:2], dtype=torch.long, device=device),
            decoder_input_ids=torch.tensor([prefix] * len(clips), device=device),
            generation_config=self._generation_config(len(prefix) + cap),
        )
        return self._texts(tokens[:, len(prefix) :].tolist(), cap)

    def _generation_config(self, max_length: int) -> GenerationConfig:
        config = copy.deepcopy(self.model.generation_config)
        config.update(max_length=max_length, num_beams=self.beams, do_sample=False)
        return config

    def _texts(self, rows: Sequence[Sequence[int]], cap: int) -> list[Hypothesis]:
        end = end_id(self.tokenizer)
        texts = self.tokenizer.batch_decode([[t for t in row if t < end] for row in rows])
        return [
            Hypothesis(text.strip(), len(row) >= cap and end not in row) for row, text in zip(rows, texts, strict=True)
        ]
