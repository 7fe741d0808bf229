"""The comparison runs, and both sides compute the same; how fast is for an idle machine to say."""

from __future__ import annotations

import pytest

from handlers.bench import separation

SMALL = {
    "channels": 8, "nfft": 2048, "bottom_channels": 32, "t_heads": 2, "t_layers": 3,
    "dconv_comp": 4,
}  # fmt: skip


@pytest.mark.slow
def test_both_sides_are_measured_and_agree() -> None:
    rows = separation.figures(minutes=0.15, options=SMALL)
    values = {row.unit: row.value for row in rows}
    assert {"x realtime", "x", "s", "MB", "dB"} == set(values)
    assert values["dB"] < -80
    assert all(value > 0 for unit, value in values.items() if unit != "dB")
