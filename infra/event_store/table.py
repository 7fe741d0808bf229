"""The events table as ``template.yaml`` declares it, for the library's ``CREATE_TABLE``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_SESSION_TOKEN": "aws_session_token",
    "AWS_DEFAULT_REGION": "region_name",
    "AWS_REGION": "region_name",
    "AWS_ENDPOINT_URL": "endpoint_url",
    "AWS_ENDPOINT_URL_DYNAMODB": "endpoint_url",
}


def dynamodb_client(env: Mapping[str, str]) -> Any:
    """A low-level client; AWS variables in ``env`` go before the process's own."""
    import boto3  # a quarter of a second that only users of DynamoDB should pay

    given = {option: env[name] for name, option in _VARIABLES.items() if env.get(name)}
    return boto3.session.Session().client("dynamodb", **given)


def create_table(client: Any, name: str, *, history: bool) -> None:
    """Create the table unless it exists, and wait until it can be used.

    history: the events themselves, with their stream. What is derived from them has the same
    keys and no stream. Backups and protection against deletion are a deployment's business.
    """
    from infra.local.provision import TEMPLATE
    from infra.local.resources import table
    from infra.local.template import Template

    template = Template.load(TEMPLATE, {}, {})
    declared = next(d for d in template.in_order() if d.name == "EventsTable")
    properties = template.resolve(declared.properties, {}) | {"TableName": name}
    kept = (*_KEYS, "StreamSpecification") if history else _KEYS
    properties = {key: properties[key] for key in kept}
    try:
        table(lambda _: client, properties)
    except client.exceptions.ResourceInUseException:
        # Another process is creating it at this moment.
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})


_KEYS = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema")
