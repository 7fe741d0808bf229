"""A hosted model as a ``Separator``: send the song, wait, fetch the stems, fit them to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import httpx
import msgspec
import numpy as np
import structlog
from msgspec import Struct
from numpy.typing import NDArray

from domain.audio import Cancelled
from domain.errors import ModelError
from infra.separators import Request
from infra.separators.replicate import Memory, Publish, failures
from infra.separators.replicate.api import Api, Prediction, Token
from infra.separators.replicate.downloads import Downloads, Gone
from infra.separators.replicate.lifecycle import Lifecycle, Work
from infra.separators.replicate.offers import Offer
from infra.separators.replicate.outputs import addresses
from infra.separators.replicate.song import Song, closed
from infra.separators.replicate.stems import Stem
from infra.separators.replicate.timing import Patience, Timing

Block = NDArray[np.float32]

_KEPT_SECONDS = 3600 - 300  # Replicate deletes files after an hour; fetching takes some minutes
_SENT, _SEPARATED, _FETCHED = 0.05, 0.85, 0.95  # of the progress
_BYTES_PER_SECOND, _BYTES_AT_LEAST = 2 * 4 * 96_000, 1024**2  # float stereo at 96 kHz
_log = structlog.get_logger(component="replicate")


class Hosted:
    """One offer. Safe to use from several threads, one song each."""

    def __init__(
        self,
        offer: Offer,
        token: str,
        base: str,
        publish: Publish | None,
        work: Path | None,
        memory: Memory | None = None,
        timing: Timing = Timing(),  # noqa: B008 - frozen
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        self.capabilities = offer.model
        self._offer, self._publish, self._work, self._memory = offer, publish, work, memory
        self._timing, self._patience = timing, patience
        url, secret = httpx.URL(base), Token(token)
        self._api = Api(url, secret, timing, patience)
        self._downloads = Downloads(url, secret, timing, patience)
        self._in_use: set[str] = set()
        self._lock = Lock()
        self._pace = _Pace()

    def separate(
        self,
        chunks: Iterable[Block],
        request: Request,
        progress: Callable[[float], None],
        cancelled: Callable[[], bool],
    ) -> Iterator[dict[str, Block]]:
        """See ``infra.separators.Separator``. The first block comes when the provider is done.

        A remainder made here adds up to the song's 24 bits (below its peak), not its floats.
        """
        if self._work is not None:
            self._work.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(
            prefix="hosted-", dir=self._work, ignore_cleanup_errors=True
        ) as directory:
            song = Song(request, Path(directory), cancelled)
            song.take(chunks)
            job = _Job(song, request.prompt, Path(directory), _rising(progress), cancelled)
            job.progress(_SENT)
            yield from self._blocks(job, self._stems(job))

    def _stems(self, job: _Job) -> dict[str, Stem]:
        """What the provider makes of the song: by taking over what it made before, if it can."""
        self._check_prompt(job)
        key = self._key(job)
        lifecycle = Lifecycle(self._api, self._work_of(job), self._timing, self._patience)
        with lifecycle, self._taken(key, lifecycle) as taken:
            if taken:
                try:
                    return self._fetched(job, lifecycle, lifecycle.follow(taken))
                except ModelError as error:
                    if not (error.code == "provider_failed" and error.transient):
                        raise
                    _log.info("provider_prediction_not_taken_over", reason=str(error))
            return self._made(job, key, lifecycle)

    def _made(self, job: _Job, key: str, lifecycle: Lifecycle) -> dict[str, Stem]:
        # Left in this order: what runs is cancelled before the file is taken away, which can last.
        with self._published(job) as url, lifecycle:
            prediction = lifecycle.create(self._offer.input.filled(url, job.prompt))
            with self._using(prediction.id):
                if self._memory is not None:
                    self._memory.put(key, prediction.id)
                ended = lifecycle.follow(prediction)
        self._pace.learn(ended, job.song.audio.seconds)
        return self._fetched(job, lifecycle, ended)

    def _fetched(self, job: _Job, lifecycle: Lifecycle, prediction: Prediction) -> dict[str, Stem]:
        """Its files, measured. Their signed addresses may have expired: asked for once more."""
        try:
            paths = self._download(job, prediction)
        except Gone:
            try:
                paths = self._download(job, lifecycle.again(prediction.id))
            except Gone as error:
                raise failures.unusable("its files are not there", transient=True) from error
        song = job.song
        return {
            name: Stem(name, path, song.audio, song.gain, job.cancelled)
            for name, path in paths.items()
        }

    def _download(self, job: _Job, prediction: Prediction) -> dict[str, Path]:
        limit = int(_BYTES_AT_LEAST + _BYTES_PER_SECOND * job.song.audio.seconds)
        urls = addresses(self._offer, prediction.output)
        paths = {}
        for n, (stem, url) in enumerate(urls.items()):
            job.progress(_SEPARATED + (_FETCHED - _SEPARATED) * n / len(urls))
            paths[stem] = job.directory / f"given-{n}"
            self._downloads.fetch(url, paths[stem], limit, job.cancelled)
        return paths

    def _blocks(self, job: _Job, stems: dict[str, Stem]) -> Iterator[dict[str, Block]]:
        """Aligned blocks of all stems; the last one is the remainder where it was not given."""
        rest = self.capabilities.stems[-1] if self.capabilities.adds_up else None
        done = 0
        with ExitStack() as open_:
            given = {n: open_.enter_context(closed(s.blocks())) for n, s in stems.items()}
            song = open_.enter_context(closed(job.song.blocks())) if rest else None
            while done < job.song.audio.samples:
                if job.cancelled():
                    raise Cancelled
                parts = {name: next(blocks) for name, blocks in given.items()}
                if rest and song:
                    parts[rest] = next(song) - np.sum([*parts.values()], axis=0, dtype=np.float32)
                yield {name: parts[name] for name in self.capabilities.stems}
                done += next(iter(parts.values())).shape[1]
                job.progress(_FETCHED + (1 - _FETCHED) * done / job.song.audio.samples)

    def _work_of(self, job: _Job) -> Work:
        def tell(share: float) -> None:
            job.progress(_SENT + (_SEPARATED - _SENT) * share)

        seconds = job.song.audio.seconds
        expected = self._pace.expected(seconds)
        return Work(self._offer.version, seconds, expected, tell, job.cancelled)

    def _check_prompt(self, job: _Job) -> None:
        if self.capabilities.takes_prompt and not (job.prompt or "").strip():
            raise ModelError(
                "provider_refused",
                f"{self.capabilities.title} needs words that name what to separate.",
            )

    def _published(self, job: _Job) -> AbstractContextManager[str]:
        path = job.song.sendable()
        if self._publish is None:
            return self._api.uploaded(path, job.cancelled)
        return self._publish(path)

    def _key(self, job: _Job) -> str:
        offer = self._offer
        parts = [offer.version, msgspec.json.encode(offer.input, order="sorted").decode()]
        parts += [job.song.digest(), job.prompt or ""]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

    @contextmanager
    def _taken(self, key: str, lifecycle: Lifecycle) -> Iterator[Prediction | None]:
        """The prediction of a worker that is no more, while it is in use here."""
        id_ = None if self._memory is None else self._memory.get(key)
        with self._lock:
            known = id_ if id_ not in self._in_use else None
            if known:
                self._in_use.add(known)
        try:
            found = lifecycle.find(known) if known else None
            yield found if found and self._kept(found) else None
        finally:
            with self._lock:
                self._in_use.discard(known or "")

    @contextmanager
    def _using(self, id_: str) -> Iterator[None]:
        with self._lock:
            self._in_use.add(id_)
        try:
            yield
        finally:
            with self._lock:
                self._in_use.discard(id_)

    def _kept(self, prediction: Prediction) -> bool:
        """Are its files still there?"""
        if not prediction.ended:
            return True
        try:
            ended = datetime.fromisoformat(prediction.completed_at or "").timestamp()
        except ValueError:
            return False
        return self._timing.now() - ended < _KEPT_SECONDS


class _Job(Struct, frozen=True):
    """One song on its way."""

    song: Song
    prompt: str | None
    directory: Path
    progress: Callable[[float], None]
    cancelled: Callable[[], bool]


class _Pace:
    """How long predictions run per second of song, learned from those that ended well."""

    def __init__(self) -> None:
        self._seconds = 0.5  # a guess, until the first one has ended
        self._lock = Lock()

    def expected(self, seconds: float) -> float:
        """For a song of so many seconds; a few more for what does not depend on it."""
        return 5 + self._seconds * seconds

    def learn(self, prediction: Prediction, seconds: float) -> None:
        """Moves a third of the way to what this one took, by the provider's own measure."""
        metrics = prediction.metrics if isinstance(prediction.metrics, dict) else {}
        took = metrics.get("predict_time")
        if isinstance(took, int | float) and took > 0 and seconds > 1:
            with self._lock:
                self._seconds += (took / seconds - self._seconds) / 3


def _rising(progress: Callable[[float], None]) -> Callable[[float], None]:
    """Tells only what is more than was told before."""
    told = 0.0

    def tell(share: float) -> None:
        nonlocal told
        if share > told:
            told = share
            progress(share)

    return tell
