"""The life of one song's prediction: made once, followed to its end, never left running.

Replicate knows no idempotency key. When the answer to a creation is lost, the account's latest
predictions are looked through for one with exactly our input before another is made; the input
holds the song's URL, which nobody else has. Should one still appear later, it is cancelled when
the song is over. What not even that reaches (a killed worker, an outage) ends by the Cancel-After
header that every prediction carries.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Self

import structlog
from msgspec import Struct

from domain.errors import JobError, ModelError
from infra.separators.replicate import failures
from infra.separators.replicate.api import Api, Prediction
from infra.separators.replicate.timing import (
    Patience,
    Timing,
    Unreached,
    again,
    pause,
    watched,
)

_SHORTEST_POLL, _LONGEST_POLL, _SLOWER = 0.5, 5.0, 1.4
_MOST_LOST = 3  # creations without an answer, after which we only look for them
_MARGIN = 60.0  # seconds beyond our own limits before Replicate ends a prediction by itself
_HIGHEST = 0.95  # of the progress while it runs
_PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?\s?%")
_LOG_TAIL = 4000  # characters
_log = structlog.get_logger(component="replicate")


class Work(Struct, frozen=True):
    """What to make a prediction of. seconds: of the song; expected: how long one runs, if known.

    progress: told 0..0.95 of the prediction, never less than before.
    """

    version: str
    seconds: float
    expected: float
    progress: Callable[[float], None]
    cancelled: Callable[[], bool]


class Lifecycle:
    """A context manager, which may be entered twice: leaving it ends what may still run."""

    def __init__(self, api: Api, work: Work, timing: Timing, patience: Patience) -> None:
        self._api, self._work, self._timing, self._patience = api, work, timing, patience
        self._open: set[str] = set()
        self._lost: list[dict[str, Any]] = []  # inputs of creations whose answers were lost
        self._told = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def find(self, id_: str) -> Prediction | None:
        """One made earlier, if it is known and runs or ended well; it is ours from then on."""
        try:
            found = self._get(id_)
        except ModelError as error:
            if error.code != "provider_refused":
                raise
            return None
        if found.data_removed or (found.ended and found.status != "succeeded"):
            return None
        if not found.ended:
            self._open.add(found.id)
        return found

    def create(self, given: dict[str, Any]) -> Prediction:
        """A new one. given: its input. Raises ModelError, Cancelled."""
        limit = self._patience.start + self._patience.running(self._work.seconds) + _MARGIN

        def attempt() -> Prediction:
            if self._lost and (found := self._strays()):
                return found[0]
            if len(self._lost) >= _MOST_LOST:
                raise Unreached("it does not say whether it began")
            with self._losing(given):
                return self._api.create(self._work.version, given, limit)

        made = again(attempt, self._patience.create, self._timing, self._work.cancelled)
        self._open.add(made.id)
        return made

    def follow(self, prediction: Prediction) -> Prediction:
        """Waits until it has succeeded.

        Raises ModelError ``provider_failed``, ``provider_timeout``, ``provider_unavailable``;
        Cancelled.
        """
        began = self._timing.elapsed()
        runs_since: float | None = None
        interval = _SHORTEST_POLL
        while not prediction.ended:
            now = self._timing.elapsed()
            if prediction.status == "processing" and runs_since is None:
                runs_since = now
                interval = _SHORTEST_POLL
            self._check_limits(now - began, None if runs_since is None else now - runs_since)
            self._tell(prediction, 0.0 if runs_since is None else now - runs_since)
            pause(interval, self._timing, self._work.cancelled)
            interval = min(_LONGEST_POLL, interval * _SLOWER)
            prediction = self.again(prediction.id)
        self._open.discard(prediction.id)
        if prediction.status == "failed":
            raise failures.failed(prediction.error)
        if prediction.status != "succeeded":
            raise failures.failed(f"it was {prediction.status} at the provider", transient=True)
        return prediction

    def again(self, id_: str) -> Prediction:
        """Its state now."""
        try:
            return self._get(id_)
        except ModelError as error:
            if error.code != "provider_refused":
                raise
            raise failures.failed(
                "the provider does not know it any more", transient=True
            ) from error

    def _stop(self) -> None:
        """Cancels what may still run. Raises nothing: what ended the song counts, not this."""
        for id_ in sorted(self._open):
            self._cancel(id_)
        self._open.clear()
        if not self._lost:
            return
        try:
            for stray in self._tried(self._strays):
                if not stray.ended:
                    self._cancel(stray.id)
        except JobError as error:
            _log.warning("provider_strays_unknown", reason=str(error))

    def _get(self, id_: str) -> Prediction:
        cancelled = self._work.cancelled
        return again(
            lambda: watched(lambda: self._api.get(id_), cancelled),
            self._patience.outage,
            self._timing,
            cancelled,
        )

    @contextlib.contextmanager
    def _losing(self, given: dict[str, Any]) -> Iterator[None]:
        """Notes that a prediction may have been made though we cannot know which."""
        try:
            yield
        except BaseException as error:
            if _may_have_worked(error):
                self._lost.append(given)
            raise

    def _strays(self) -> list[Prediction]:
        """Predictions with an input whose answer was lost, that run or ended well."""
        unwanted = {"failed", "canceled", "aborted"}
        return [p for p in self._api.recent() if p.input in self._lost and p.status not in unwanted]

    def _cancel(self, id_: str) -> None:
        try:
            self._tried(lambda: self._api.cancel(id_))
        except JobError as error:
            # Refused, because it has ended? Or out of reach: then Cancel-After ends it.
            _log.warning("provider_prediction_not_cancelled", prediction=id_, reason=str(error))

    def _tried(self, call: Callable[[], Any]) -> Any:
        return again(call, self._patience.cancel, self._timing, lambda: False)

    def _check_limits(self, waited: float, ran: float | None) -> None:
        if ran is None and waited > self._patience.start:
            raise ModelError(
                "provider_timeout",
                f"The hosted model did not start within {self._patience.start:.0f} seconds; its "
                "provider is short of machines. Try again later, or choose another model.",
                transient=True,
            )
        limit = self._patience.running(self._work.seconds)
        if ran is not None and ran > limit:
            raise ModelError(
                "provider_timeout",
                f"The hosted model did not finish within {limit:.0f} seconds. Try a shorter song "
                "or another model.",
            )

    def _tell(self, prediction: Prediction, ran: float) -> None:
        """By the percentage in the logs, where there is one, else by the time it usually takes."""
        share = ran / self._work.expected if self._work.expected > 0 else 0.0
        logs = prediction.logs
        # Before it runs, percentages are of weights being loaded.
        runs = prediction.status == "processing" and isinstance(logs, str)
        if runs and (said := _PERCENT.findall(logs[-_LOG_TAIL:])):
            share = min(100, int(said[-1])) / 100
        self._told = max(self._told, min(_HIGHEST, share))
        self._work.progress(self._told)


def _may_have_worked(error: BaseException) -> bool:
    """Can there be a prediction though its creation raised this?"""
    if isinstance(error, Unreached):
        return error.sent
    # A clear no is a ModelError too; provider_failed is a yes that we could not read.
    return not isinstance(error, ModelError) or error.code == "provider_failed"
