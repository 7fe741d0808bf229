"""Bring the emulated cloud to what ``template.yaml`` declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from infra.local.access import CloudAccess
from infra.local.errors import TemplateRefused
from infra.local.resources import KINDS
from infra.local.template import Declaration, Template

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
"""The repository's template: it stands beside the packages, which are installed editable."""


class Resources(Struct, frozen=True):
    """Names of the tables, bus and buckets, URLs of the queues: the template's outputs."""

    events_table: str
    events_stream_arn: str
    read_models_table: str
    operations_table: str
    event_bus: str
    separation_queue: str
    separation_long_queue: str
    separation_gpu_queue: str
    separation_gpu_long_queue: str
    probe_queue: str
    projections_queue: str
    webhooks_queue: str
    janitor_queue: str
    separation_dlq: str
    probe_dlq: str
    projections_dlq: str
    webhooks_dlq: str
    janitor_dlq: str
    media_bucket: str
    audit_bucket: str


def provision(
    access: CloudAccess, parameters: Mapping[str, str] | None = None, template: Path = TEMPLATE
) -> Resources:
    """Create or converge every declared resource; calling it again changes nothing.

    ``parameters`` override the template's defaults (``Stage``, ``AllowedOrigins``, ...).
    Raises TemplateRefused for anything in the template that the local stack does not know.
    """
    # The emulator speaks plain HTTP, so a TLS-only policy would shut everyone out; its KMS makes no
    # keys that sign; and the functions run as processes of the stack.
    local = {"RequireTls": "false", "Place": "laptop"}
    plain = local if access.endpoint.startswith("http://") else {}
    declared = Template.load(template, plain | dict(parameters or {}), _pseudo(access))
    ordered = declared.in_order()
    _refuse_unknown(ordered)
    attributes: dict[str, dict[str, str]] = {}
    for each in ordered:
        properties: dict[str, Any] = declared.resolve(each.properties, attributes)
        attributes[each.name] = KINDS[each.type](access.client, properties)
    outputs = declared.resolve(declared.outputs, attributes)
    return Resources(**{name: outputs[_camel(name)] for name in Resources.__struct_fields__})


def _refuse_unknown(ordered: list[Declaration]) -> None:
    unknown = sorted(f"{each.name} ({each.type})" for each in ordered if each.type not in KINDS)
    if unknown:
        raise TemplateRefused(
            f"The local stack cannot provision {', '.join(unknown)}; it knows "
            f"{', '.join(sorted(KINDS))}."
        )


def _pseudo(access: CloudAccess) -> dict[str, str]:
    return {
        "AWS::AccountId": access.account,
        "AWS::Partition": "aws",
        "AWS::Region": access.region,
        "AWS::URLSuffix": "amazonaws.com",
    }


def _camel(name: str) -> str:
    return re.sub(r"(?:^|_)(.)", lambda found: found[1].upper(), name)
