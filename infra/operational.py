"""What an application keeps in its operational table, each part made when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from infra.clients import AwsClients
from infra.clock import SystemClock
from infra.settings import Settings

# Imported where they are made, see infra.bootstrap.
if TYPE_CHECKING:
    from infra.operations import (
        Deliveries,
        DynamoDBOperations,
        OperationalTable,
        ParkedStreams,
        Pulses,
        Speeds,
        Turns,
    )


class OperationalParts(AwsClients):
    """Of an Application."""

    settings: Settings

    @cached_property
    def clock(self) -> SystemClock:
        """Time."""
        return SystemClock()

    @cached_property
    def operational_table(self) -> OperationalTable:
        """What is neither a fact nor a view of facts."""
        from infra.operations import OperationalTable

        return OperationalTable(self.dynamodb, self.settings.operations_table)

    @cached_property
    def operations(self) -> DynamoDBOperations:
        """Live progress of jobs."""
        from infra.operations import DynamoDBOperations

        return DynamoDBOperations(self.operational_table, self.clock)

    @cached_property
    def parked(self) -> ParkedStreams:
        """Streams that a read model cannot follow."""
        from infra.operations import ParkedStreams

        return ParkedStreams(self.operational_table)

    @cached_property
    def pulses(self) -> Pulses:
        """Signs of life."""
        from infra.operations import Pulses

        return Pulses(self.operational_table)

    @cached_property
    def speeds(self) -> Speeds:
        """How fast models are here."""
        from infra.operations import Speeds

        return Speeds(self.operational_table)

    @cached_property
    def deliveries(self) -> Deliveries:
        """Messages to webhook endpoints."""
        from infra.operations import Deliveries

        return Deliveries(self.operational_table, self.clock)

    @cached_property
    def turns(self) -> Turns:
        """Who sends to which webhook endpoint."""
        from infra.operations import Turns

        return Turns(self.operational_table, self.clock)
