"""The composition root: settings in, working parts out. Nothing else knows how parts fit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from domain.errors import Invalid
from infra.clock import SystemIds
from infra.operational import OperationalParts
from infra.settings import Settings
from infra.stage import LANE_QUEUES

# Imported where they are made: a function in Lambda waits for what it needs and for no more.
if TYPE_CHECKING:
    from commands import Context
    from domain.catalog import Catalog
    from domain.packs import Packs
    from domain.retention import Retention
    from infra.bus import Bus
    from infra.digests.bucket import AuditBucket
    from infra.digests.signers import Signer
    from infra.identity import Identity
    from infra.identity.openid import OpenIDProvider
    from infra.identity.pending import PendingLogins
    from infra.keys import KeyStore
    from infra.objects import Objects
    from infra.operations.answers import Answers
    from infra.operations.sessions import Sessions
    from infra.payments.gateway import StripePayments
    from infra.personal import PersonalFields
    from infra.queue import Queue
    from infra.rows import DynamoDBRows
    from infra.separators import Separators, Source
    from infra.switchboard import CachedSwitchboard
    from infra.webhooks import AddressGuard
    from projections.catch_up import Reading

PRICE_LIST = "2026-11"
DEFAULT_MODEL = "spleeter-2stems"


@dataclass(frozen=True)
class Application(OperationalParts):
    """Every part, made when it is first asked for; a process makes only what it needs.

    process: names this process's journal on the local stack.
    """

    settings: Settings
    process: str = "main"

    @cached_property
    def ids(self) -> SystemIds:
        """Chance."""
        return SystemIds(self.clock)

    @cached_property
    def store(self) -> Any:
        """The event store; on the local stack behind the journal."""
        from infra.event_store.dynamodb import DynamoDBStore

        store = DynamoDBStore(self.dynamodb, self.settings.events_table, self.clock)
        if self.settings.journal is None:
            return store
        from infra.event_store.journal import Journal, JournaledStore  # local stack only

        journal = Journal(self.settings.journal, self.process)
        return JournaledStore(store, journal, self.clock)

    @cached_property
    def catalog(self) -> Catalog:
        """What this deployment offers: the separators that are installed."""
        from domain.catalog import Catalog, Limits

        limits = Limits(self.settings.max_seconds, self.settings.max_bytes)
        return Catalog(self.separators.models, DEFAULT_MODEL, limits, PRICE_LIST)

    @cached_property
    def separators(self) -> Separators:
        """The models; each is loaded when it is first used. Raises Invalid, Unavailable."""
        from infra.separators import Separators, speech, spleeter

        sources = [*spleeter.sources(), *speech.sources(), *self._stored(), *self._hosted()]
        return Separators(sources)

    def _stored(self) -> list[Source]:
        if not self.settings.models:
            return []
        from infra.separators import checkpoints

        place = self.settings.work_directory
        cache = place / "models" if place else None
        return checkpoints.sources(self.settings.models, cache, lambda: self.s3)

    def _hosted(self) -> list[Source]:
        settings = self.settings
        if not settings.replicate_api_token:
            return []
        from infra.operations.predictions import Predictions
        from infra.publishing import Publisher
        from infra.separators import replicate

        publish = Publisher(self.s3, settings.media_bucket, settings.presign_seconds)
        return replicate.sources(
            settings.replicate_api_token,
            settings.replicate_api_base,
            settings.replicate_models,
            publish if publish.reachable else None,
            settings.work_directory,
            Predictions(self.operational_table, self.clock),
        )

    @cached_property
    def context(self) -> Context:
        """What command handlers work with."""
        from commands import Context
        from projections.results import KnownResults

        return Context(
            self.store, self.clock, self.ids, self.personal, self.catalog,
            self.settings.signup_grant, self.switchboard, KnownResults(lambda: self.reading),
            self.retention,
        )  # fmt: skip

    @property
    def retention(self) -> Retention:
        """How long media are kept."""
        from domain.retention import Retention

        settings = self.settings
        return Retention(
            settings.retention_days_originals,
            settings.retention_days_stems,
            settings.retention_days_deleted,
        )

    @cached_property
    def switchboard(self) -> CachedSwitchboard:
        """What operators hold shut."""
        from infra.switchboard import CachedSwitchboard

        return CachedSwitchboard(self.store, self.clock)

    @cached_property
    def answers(self) -> Answers:
        """First answers to Idempotency-Keys."""
        from infra.operations.answers import Answers

        return Answers(self.operational_table, self.personal, self.clock)

    @cached_property
    def webhook_guard(self) -> AddressGuard:
        """Where webhooks may be sent. Raises Invalid."""
        from infra.webhooks import AddressGuard, networks  # only the API and the deliverer

        return AddressGuard(networks.networks(self.settings.webhook_private_networks))

    @cached_property
    def rows(self) -> DynamoDBRows:
        """The read models' rows."""
        from infra.rows import DynamoDBRows

        return DynamoDBRows(self.dynamodb, self.settings.read_models_table)

    @cached_property
    def operating(self) -> Reading:
        """What rebuilds and checks work with: the generations as they stand at this moment."""
        from infra.operations import TableGenerations
        from projections.catch_up import Reading

        return Reading(self.store, self.rows, TableGenerations(self.operational_table))

    @cached_property
    def reading(self) -> Reading:
        """What queries and projectors work with: generations at most CACHE_SECONDS old."""
        from infra.operations import CachedGenerations
        from projections.catch_up import Reading

        exact = self.operating
        return Reading(exact.history, exact.rows, CachedGenerations(exact.generations))

    @cached_property
    def keys(self) -> KeyStore:
        """Secrets. Raises Invalid when the settings name no place for them."""
        from infra.keys import KeyFiles, KeyTable, KmsSealing

        settings = self.settings
        if settings.keys_table and settings.keys_key:
            sealing = KmsSealing(self.client("kms"), settings.keys_key)
            return KeyTable(self.dynamodb, settings.keys_table, sealing)
        if settings.keys is None:
            raise Invalid("Set SPLITSOUND_KEYS_TABLE and SPLITSOUND_KEYS_KEY, or SPLITSOUND_KEYS.")
        return KeyFiles(settings.keys)

    @cached_property
    def people(self) -> KeyStore:
        """People's data keys, wrapped already: in the same table, but KMS is not asked for each."""
        from infra.keys import KeyFiles, KeyTable

        if isinstance(self.keys, KeyFiles):
            return self.keys
        return KeyTable(self.dynamodb, self.settings.keys_table, None)

    @cached_property
    def personal(self) -> PersonalFields:
        """Personal fields."""
        from infra.personal import PersonalFields

        return PersonalFields(self.keys, self.people)

    @cached_property
    def identity(self) -> Identity:
        """Access tokens."""
        from infra.identity import Identity

        return Identity(self.keys, self.settings, self.clock)

    @cached_property
    def openid(self) -> dict[str, OpenIDProvider]:
        """Who signs people in, by name. Raises Invalid."""
        from infra.identity import providers
        from infra.identity.openid import OpenIDProvider

        known = providers.configured(self.settings)
        return {name: OpenIDProvider(each, self.clock) for name, each in known.items()}

    @cached_property
    def pending_logins(self) -> PendingLogins:
        """Sign-ins on their way."""
        from infra.identity.pending import PendingLogins

        return PendingLogins(self.keys, self.clock)

    @cached_property
    def sessions(self) -> Sessions:
        """Sign-ins that last."""
        from infra.operations.sessions import DAY, Sessions

        secret = self.keys.get_or_make("sessions.key", lambda: os.urandom(32))
        idle, longest = self.settings.session_idle_days, self.settings.session_longest_days
        return Sessions(
            self.operational_table, self.clock, secret, idle=idle * DAY, longest=longest * DAY
        )

    @cached_property
    def objects(self) -> Objects:
        """The media bucket."""
        import aioboto3

        from infra import signing
        from infra.objects import S3_CONFIG, Objects

        role, seconds = self.settings.signer_role, self.settings.presign_seconds
        signer = self.s3
        if role:
            signer = signing.signer(role, self.region, S3_CONFIG, seconds, self.client("sts"))
        return Objects(aioboto3.Session(), signer, self.settings.media_bucket, seconds)

    @cached_property
    def digests(self) -> AuditBucket:
        """Signed digests of all histories."""
        from infra.digests.bucket import AuditBucket

        return AuditBucket(self.s3, self.settings.audit_bucket)

    @cached_property
    def digest_signer(self) -> Signer:
        """The key that signs them: in KMS where the settings name one, else in a file."""
        from infra.digests.signers import KeyFileSigner, KmsSigner

        if self.settings.digest_key:
            return KmsSigner(self.client("kms"), self.settings.digest_key)
        return KeyFileSigner(self.keys)

    @cached_property
    def packs(self) -> Packs:
        """What is sold, by name; nothing where nobody can pay. Raises Invalid."""
        from domain.packs import parse
        from infra.payments import configured

        sold = parse(self.settings.credit_packs)
        return sold if configured(self.settings) else {}

    @cached_property
    def payments(self) -> StripePayments | None:
        """Stripe; None where nothing is sold. Raises Invalid."""
        from infra.payments import configured

        configuration = configured(self.settings)
        if configuration is None:
            return None
        from infra.payments.gateway import StripePayments  # slow to load, and seldom needed

        return StripePayments(configuration, self.clock.now)

    @cached_property
    def bus(self) -> Bus:
        """Doorbells out."""
        from infra.bus import Bus

        return Bus(self.client("events"), self.settings.event_bus)

    def queue(self, name: str) -> Queue:
        """A lane of separations, ``probe``, ``projections``, ``webhooks`` or ``janitor``.

        Dead letters: ``separation_dlq`` of all lanes, ``probe_dlq``, ``projections_dlq``,
        ``webhooks_dlq`` or ``janitor_dlq``.
        """
        from infra.queue import Queue

        field = name if name.endswith("_dlq") else LANE_QUEUES.get(name, f"{name}_queue")
        return Queue(self.sqs, getattr(self.settings, field))
