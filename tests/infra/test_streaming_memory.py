"""A song at a low rate grows on its way to the network: what is in memory must not grow with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from infra.media.sound import Block
from infra.separators import Request
from infra.separators.spleeter import SPLEETER_2STEMS
from infra.separators.streaming import Streamed
from tests.handlers.worker.studio import Exchange


class Widest(Exchange):
    """Remembers the most samples that came at once."""

    widest = 0

    def start(self, request: Request, _: Callable[[], bool]) -> Widest:
        return self

    def push(self, mix: Block) -> Block:
        self.widest = max(self.widest, mix.shape[1])
        return super().push(mix)


@pytest.mark.parametrize("rate", [1000, 8000, 44_100, 192_000])
def test_the_network_gets_no_more_at_once_than_the_song_has(rate: int) -> None:
    core = Widest()
    n = 70_000
    song = np.zeros((2, n), np.float32)
    stems = Streamed(SPLEETER_2STEMS, core).separate(
        iter([song]), Request(rate, 2, n), lambda _: None, lambda: False
    )
    assert sum(block["vocals"].shape[1] for block in stems) == n
    assert core.widest <= 2 * 65_536
