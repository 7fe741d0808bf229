"""What a month costs: every price and every formula, in this one file.

Prices are AWS's public ones, on demand, in us-east-1, as of PRICED. To use others, change them
here; ``splitsound cost`` prints each line with its quantity and its formula. What a song takes of
the tables is measured (``splitsound bench units``) and asserted by tests/test_song_units.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec import Struct

from domain.errors import Invalid

PRICED = "2026-11"
DAYS = 30.4
HOURS = 730.0
MILLION = 1e6

# --- a song, as measured -----------------------------------------------------------------

COMMITS = 16
COMMAND_WRITES, COMMAND_READS = 20, 19
ROW_WRITES, ROW_READS = 78, 7
EVENT_BYTES = 12_000
"""Of one song's events and rows that stay."""

# --- what else happens for a song, assumed ----------------------------------------------

API_CALLS = 25
"""Upload, quote, job, and a page that follows it by server-sent events."""
DOWNLOADS = 1.5
"""How often its stems are fetched."""
BUSY = 0.6
"""The share of paid worker time in which songs are separated; `splitsound bench scaling`."""
KEPT_DAYS = 30
"""How long originals and stems are kept (SPLITSOUND_RETENTION_DAYS_*)."""
MP3_BYTES_PER_SECOND, FLAC_BYTES_PER_SECOND = 32_000, 95_000
LOG_BYTES = 6_000
CALLS_PER_TASK_SECOND = 100.0

# --- prices in US dollars ------------------------------------------------------------------

WRITE_UNIT, READ_UNIT = 0.625 / MILLION, 0.125 / MILLION
TABLE_GB_MONTH, BACKUP_GB_MONTH = 0.25, 0.20
VCPU_HOUR, GB_HOUR = 0.04048, 0.004445
G6_XLARGE_HOUR = 0.8048
EVENT = 1.00 / MILLION
QUEUE_CALL = 0.40 / MILLION
INVOCATION, GB_SECOND = 0.20 / MILLION, 0.0000166667
S3_GB_MONTH, S3_PUT, S3_GET = 0.023, 0.005 / 1000, 0.0004 / 1000
EGRESS = ((100.0, 0.0), (10_240.0, 0.09), (40_960.0, 0.085), (102_400.0, 0.07), (math.inf, 0.05))
"""(GB, dollars of each): the first are free, and later ones cheaper."""
BALANCER_HOUR, BALANCER_UNIT_HOUR = 0.0225, 0.008
ADDRESS_HOUR = 0.005
LOG_GB = 0.50
METRIC, ALARM, DASHBOARD = 0.30, 0.10, 3.00
KMS_KEY, SECRET = 1.00, 0.40


class Speed(Struct, frozen=True):
    """How a model is run. audio: seconds of audio that a worker separates in a second.

    hour: dollars of that worker; song_second: dollars for a second of audio at a provider.
    measured: by which command, or that it is assumed.
    """

    stems: int
    audio: float
    hour: float
    measured: str
    song_second: float = 0.0


CPU_HOUR = 2 * VCPU_HOUR + 8 * GB_HOUR
MODELS = {
    "spleeter-2stems": Speed(2, 12.0, CPU_HOUR, "README, demo: 24 s in about 2 s of CPU work"),
    "spleeter-dsp-4stems": Speed(4, 8.0, CPU_HOUR, "assumed"),
    "htdemucs-cpu": Speed(4, 2.07, CPU_HOUR, "splitsound bench separation, 2 cores"),
    "htdemucs": Speed(4, 40.0, G6_XLARGE_HOUR, "assumed for an L4; no GPU was lent"),
    "sam-audio": Speed(2, 4.0, CPU_HOUR / 8, "hosted; the worker only waits", 0.044 / 60),
}


class Asked(Struct, frozen=True):
    """songs: a day; minutes: of each."""

    songs: float
    minutes: float
    model: str

    @property
    def speed(self) -> Speed:
        """Raises Invalid for a model without figures."""
        try:
            return MODELS[self.model]
        except KeyError:
            known = ", ".join(MODELS)
            raise Invalid(
                f"There are no figures for {self.model!r}; name one of {known}."
            ) from None

    @property
    def month(self) -> float:
        """Songs a month."""
        return self.songs * DAYS

    @property
    def seconds(self) -> float:
        """Of audio a month."""
        return self.month * self.minutes * 60

    @property
    def worker_hours(self) -> float:
        """Paid hours of workers a month."""
        return self.seconds / self.speed.audio / 3600 / BUSY

    @property
    def api_tasks(self) -> int:
        """That are needed at the busiest hour, thrice the mean; one at least."""
        return max(1, math.ceil(3 * API_CALLS * self.songs / 86_400 / CALLS_PER_TASK_SECOND))

    @property
    def original_gb(self) -> float:
        """Uploaded a month."""
        return self.seconds * MP3_BYTES_PER_SECOND / 1e9

    @property
    def stem_gb(self) -> float:
        """Stored a month."""
        return self.seconds * self.speed.stems * FLAC_BYTES_PER_SECOND / 1e9


class Line(Struct, frozen=True):
    """quantity: of ``unit``, a month. formula: how it comes about. dollars: a month."""

    name: str
    quantity: float
    unit: str
    dollars: float
    formula: str


Rule = tuple[str, str, Callable[[Asked], float], Callable[[float], float], str]

# Name, unit, quantity, dollars of that quantity, the formula in words.
RULES: list[Rule] = [
    ("workers", "hours", lambda a: a.worker_hours, lambda _: 0.0,
     "songs x seconds / speed / 3600 / busy share"),
    ("hosted model", "audio s", lambda a: a.seconds if a.speed.song_second else 0.0, lambda _: 0.0,
     "seconds of audio x the provider's price"),
    ("egress of stems", "GB", lambda a: DOWNLOADS * a.stem_gb,
     lambda q: egress(q),
     "1.5 downloads x stems x 95 KB/s; 100 GB are free"),
    ("media stored", "GB-months", lambda a: (a.original_gb + a.stem_gb) * KEPT_DAYS / DAYS,
     lambda q: q * S3_GB_MONTH, "originals at 32 KB/s and stems at 95 KB/s, kept 30 days"),
    ("media requests", "requests", lambda a: a.month * (4 + 6 * a.speed.stems),
     lambda q: q * (S3_PUT + S3_GET), "parts, stems, previews, waveforms; each read about once"),
    ("table writes", "units", lambda a: a.month * (COMMAND_WRITES + ROW_WRITES) + _beats(a),
     lambda q: q * WRITE_UNIT, "98 a song, and one for each second that a worker is at it"),
    ("table reads", "units",
     lambda a: a.month * (COMMAND_READS + ROW_READS + API_CALLS) + _beats(a),
     lambda q: q * READ_UNIT, "51 a song, and one for each second that a worker is at it"),
    ("tables stored", "GB-months", lambda a: a.month * 12 * EVENT_BYTES / 1e9,
     lambda q: q * (TABLE_GB_MONTH + BACKUP_GB_MONTH), "12 KB a song, after a year, with backups"),
    ("doorbells", "events", lambda a: a.month * COMMITS, lambda q: q * EVENT, "16 commits a song"),
    ("queue calls", "calls", lambda a: a.month * (3 * COMMITS + 8) + 10 * 3 * 60 * HOURS,
     lambda q: q * QUEUE_CALL, "3 for each commit, 8 for the job; ten pollers, each 20 s"),
    ("functions", "GB-seconds", lambda a: a.month * COMMITS * 0.5 * 0.06 + 43_800 * 2.0,
     lambda q: q * GB_SECOND + q / 0.06 * INVOCATION,
     "relay and projector 60 ms at 0.5 GB a commit; the sweeper 2 s a minute"),
    ("API tasks", "hours", lambda a: a.api_tasks * HOURS,
     lambda q: q * (0.5 * VCPU_HOUR + GB_HOUR + ADDRESS_HOUR), "0.5 vCPU, 1 GB, a public address"),
    ("webhook task", "hours", lambda _: HOURS,
     lambda q: q * (0.25 * VCPU_HOUR + 0.5 * GB_HOUR + ADDRESS_HOUR), "0.25 vCPU, 0.5 GB"),
    ("load balancer", "hours", lambda _: HOURS,
     lambda q: q * (BALANCER_HOUR + BALANCER_UNIT_HOUR + 2 * ADDRESS_HOUR),
     "one, with one capacity unit and two addresses"),
    ("logs", "GB", lambda a: a.month * LOG_BYTES / 1e9, lambda q: q * LOG_GB, "6 KB a song"),
    ("alarms, metrics, dashboard", "items", lambda _: 16.0,
     lambda _: 14 * ALARM + 2 * METRIC + DASHBOARD, "fixed"),
    ("keys and secrets", "items", lambda _: 3.0, lambda _: 2 * KMS_KEY + SECRET, "fixed"),
]  # fmt: skip


def egress(gigabytes: float) -> float:
    """Dollars for so much in a month."""
    dollars = 0.0
    for size, price in EGRESS:
        dollars += min(gigabytes, size) * price
        gigabytes = max(0.0, gigabytes - size)
    return dollars


def _beats(asked: Asked) -> float:
    """Seconds a month in which workers say that they live."""
    return asked.seconds / asked.speed.audio


def bill(asked: Asked) -> list[Line]:
    """The month, the dearest line first. Raises Invalid for a model without figures."""
    lines = []
    for name, unit, quantity, dollars, formula in RULES:
        amount = quantity(asked)
        lines.append(Line(name, amount, unit, _dollars(name, asked, amount, dollars), formula))
    return sorted(lines, key=lambda line: -line.dollars)


def _dollars(name: str, asked: Asked, amount: float, dollars: Callable[[float], float]) -> float:
    # Of two lines the price is the model's.
    if name == "workers":
        return amount * asked.speed.hour
    if name == "hosted model":
        return amount * asked.speed.song_second
    return dollars(amount)
