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
        with torch.inference_mode(), tqdm(total=len(clips), desc=title, unit="clip", disable=None, leave=False) as bar:
            search = self._search()
            for edge, batch in self._batches([len(clip) for clip in clips]):
                found.update(zip(batch, self._decode(search, [clips[i] for i in batch], edge), strict=True))
                bar.update(len(batch))
        texts = self.tokenizer.batch_decode([found[i][0] for i in range(len(clips))]) if clips else []
        return [Hypothesis(text.strip(), found[i][1]) for i, text in enumerate(texts)]

    def _batches(self, samples: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """Edges and the clips of each batch, the longest first: what does not fit into memory fails at once.

        Clips of like length have texts of like length, so a batch has few that outlast the others.
        """
        edges = [self.edges.index(count) for count in samples]
        for edge in sorted(set(edges), reverse=True):
            same = sorted((i for i, value in enumerate(edges) if value == edge), key=lambda i: (-samples[i], i))
            for start in range(0, len(same), self.batch_size):
                yield edge, same[start : start + self.batch_size]

    def _decode(self, search: Search, clips: Sequence[Pcm16], edge: int) -> list[tuple[list[int], bool]]:
        """Text tokens of every clip, and whether the cap ended them."""
        samples = self.edges.padded_samples(edge)
        wave = padded_wave(clips, samples).to(self.model.device)
        log_mel = self.log_mel(wave).to(self.model.dtype)
        cap = min(
            self.model.config.max_target_positions - len(self._prefix()),
            SPARE_TOKENS + round(TOKENS_PER_SECOND * samples / SAMPLE_RATE),
        )
        rows = search(self.model.get_encoder()(log_mel).last_hidden_state, cap)
        return [(tokens, len(tokens) >= cap) for tokens in rows]

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
