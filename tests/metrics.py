"""How near an estimate is to the true stem; decibels, higher is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.floating]


def energy_db(signal: Signal) -> float:
    """Mean power in dB of full scale; -300 for digital silence."""
    return float(10 * np.log10(np.mean(np.square(signal, dtype=np.float64)) + 1e-30))


def sdr(reference: Signal, estimate: Signal) -> float:
    """Signal-to-distortion ratio. A silent reference has none: measure its leak instead."""
    if energy_db(reference) < -200:
        raise ValueError("silent reference: use energy_db(estimate), the energy that leaked")
    return energy_db(reference) - energy_db(estimate - reference)


def si_sdr(reference: Signal, estimate: Signal) -> float:
    """The same after the best scaling of the reference (Le Roux et al., ICASSP 2019)."""
    if energy_db(reference) < -200:
        raise ValueError("silent reference: use energy_db(estimate), the energy that leaked")
    r, e = reference.astype(np.float64).ravel(), estimate.astype(np.float64).ravel()
    return sdr((e @ r) / (r @ r) * r, e)
