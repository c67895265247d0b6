"""From clips to text: batched greedy or beam search with a key-value cache, on unpadded input."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm
from transformers import WhisperForConditionalGeneration, WhisperTokenizer

from asr.decoding.beam import BeamSearch
from asr.decoding.greedy import GreedySearch
from asr.decoding.speaker import Speaker
from asr.features import Edges, LogMel, padded_wave
from asr.models.tokenizer import end_id, prefix_ids
from asr.pcm import SAMPLE_RATE, Pcm16

TOKENS_PER_SECOND = 30
"""Cap on text tokens for a second of audio; above any speaking rate that validation lets through."""
SPARE_TOKENS = 10
"""What even the shortest clip may have on top."""

Search = Callable[[torch.Tensor, int], list[list[int]]]
"""From the encoder's output, shape = (clips, positions, width), and a cap to text tokens, a list a clip."""


@dataclass(frozen=True)
class Hypothesis:
    """What the model heard in one clip."""

    text: str
    capped: bool
    """The token cap ended the text: the model did not stop by itself."""
    tokens: tuple[int, ...] = ()
    """Ids that `text` was decoded from, without prefix and end."""


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
        found: dict[int, tuple[list[int], bool]] = {}
        self.model.eval()
        with torch.inference_mode():
            search = self._search()
            for edge, batch in self.each_batch(clips, title):
                rows = search(self.encode([clips[i] for i in batch], edge), cap := self._cap(edge))
                found.update((clip, (tokens, len(tokens) >= cap)) for clip, tokens in zip(batch, rows, strict=True))
        texts = self.tokenizer.batch_decode([found[i][0] for i in range(len(clips))]) if clips else []
        return [Hypothesis(text.strip(), found[i][1], tuple(found[i][0])) for i, text in enumerate(texts)]

    def each_batch(self, clips: Sequence[Pcm16], title: str) -> Iterator[tuple[int, list[int]]]:
        """The edge and the indices of the clips of each batch, with a progress bar."""
        with tqdm(total=len(clips), desc=title, unit="clip", disable=None, leave=False) as bar:
            for edge, batch in self._batches([len(clip) for clip in clips]):
                yield edge, batch
                bar.update(len(batch))

    def encode(self, clips: Sequence[Pcm16], edge: int) -> torch.Tensor:
        """The encoder's output for clips padded to one edge, shape = (clips, positions, width)."""
        wave = padded_wave(clips, self.edges.padded_samples(edge)).to(self.model.device)
        log_mel = self.log_mel(wave).to(self.model.dtype)
        encoded: torch.Tensor = self.model.get_encoder()(log_mel).last_hidden_state
        return encoded

    def _batches(self, samples: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """Edges and the clips of each batch, the longest first: what does not fit into memory fails at once.

        Clips of like length have texts of like length, so a batch has few that outlast the others.
        """
        edges = [self.edges.index(count) for count in samples]
        for edge in sorted(set(edges), reverse=True):
            same = sorted((i for i, value in enumerate(edges) if value == edge), key=lambda i: (-samples[i], i))
            for start in range(0, len(same), self.batch_size):
                yield edge, same[start : start + self.batch_size]

    def _cap(self, edge: int) -> int:
        """Tokens after which a text is cut."""
        positions: int = self.model.config.max_target_positions
        seconds = self.edges.padded_samples(edge) / SAMPLE_RATE
        return min(positions - len(self._prefix()), SPARE_TOKENS + round(TOKENS_PER_SECOND * seconds))

    def _search(self) -> Search:
        end = end_id(self.tokenizer)
        speaker = Speaker.of(self.model, self._prefix(), end, suppressed_ids(self.model, end))
        return BeamSearch(speaker, self.beams) if self.beams > 1 else GreedySearch(speaker)

    def _prefix(self) -> list[int]:
        return prefix_ids(self.tokenizer, self.language)


def suppressed_ids(model: WhisperForConditionalGeneration, end: int) -> list[int]:
    """Ids that no search may say: all above the end, which are no text, and those that the model's own settings forbid.

    Args:
        model: with `suppress_tokens` in its generation config, or None there.
        end: id of the end of a text; smaller ids are text.
    """
    vocabulary = range(model.proj_out.out_features)
    forbidden = set(model.generation_config.suppress_tokens or ())
    return [i for i in vocabulary if i > end or i in forbidden]
