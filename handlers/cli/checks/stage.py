"""A stage on AWS: whether all that has to name its domain does, and whether it works.

One domain gives every address (``infra/stacks/api.yaml``): pages of https://DOMAIN use the API at
https://api.DOMAIN. Tasks, bucket, sign-in providers and Stripe are each told so once, by different
people; here they are compared with it.
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Callable, Iterator
from functools import cache, cached_property, partial
from typing import Any

from handlers.cli.checks import Ailing, Check, examined, outside
from handlers.cli.words import counted
from infra.settings import PREFIX
from infra.stage import QUEUES, names

_SOUND = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
# The last change failed; what was there before works.
_WENT_BACK = "UPDATE_ROLLBACK_COMPLETE"
_STACKS = {
    "access": True, "data": True, "network": True, "workers": False, "api": True,
    "observability": False,
}  # fmt: skip
_SECRETS = ("stripe_api_key", "stripe_webhook_secrets", "oidc_providers", "metrics_token")


class Stage:
    """A deployed stage. base: where its API is reached instead of its own address; stripe_base:
    the same of Stripe; both for tests.
    """

    def __init__(self, name: str, domain: str, base: str = "", stripe_base: str = "") -> None:
        from infra.clients import AwsClients

        self.name, self.domain = name, domain
        self.front, self.api = f"https://{domain}", f"https://api.{domain}"
        self.base = base or self.api
        self.stripe_base = stripe_base
        clients = AwsClients()
        self.client: Callable[[str], Any] = cache(clients.client)
        self.region = clients.region

    @property
    def deploy(self) -> str:
        """What to type to bring it to what it should be."""
        return f"`make deploy STAGE={self.name} DOMAIN={self.domain} CERTIFICATE=...`"

    @property
    def renew(self) -> str:
        """What to type so that new tasks read the secrets."""
        parts = f"--cluster splitsound-{self.name} --service splitsound-{self.name}-api"
        return f"`aws ecs update-service {parts} --force-new-deployment`"

    @property
    def secret_name(self) -> str:
        """Of what others gave us."""
        return f"splitsound/{self.name}/secrets"

    @cached_property
    def account(self) -> str:
        """That the credentials belong to."""
        return str(self.client("sts").get_caller_identity()["Account"])

    @cached_property
    def secrets(self) -> dict[str, str]:
        """What others gave us. Raises Ailing."""
        from botocore.exceptions import ClientError

        manager = self.client("secretsmanager")
        try:
            text = manager.get_secret_value(SecretId=self.secret_name)["SecretString"]
        except ClientError as error:
            raise Ailing(
                f"{self.secret_name} cannot be read ({error.response['Error']['Code']})",
                f"{self.deploy} makes it (the stack access); reading it takes "
                "secretsmanager:GetSecretValue.",
            ) from error
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
            raise Ailing(
                f"{self.secret_name} is no JSON object of texts",
                f"Put {', '.join(_SECRETS)} there; what is empty is not used.",
            )
        return found

    @cached_property
    def environment(self) -> dict[str, str]:
        """Of the API's tasks, as the service now starts them. Raises Ailing."""
        ecs = self.client("ecs")
        service = _service(self, ecs)
        told = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])
        containers = told["taskDefinition"]["containerDefinitions"]
        api = next((each for each in containers if each["name"] == "api"), None)
        if api is None:
            raise Ailing(f"{service['taskDefinition']} has no container api", self.deploy)
        return {each["name"]: each["value"] for each in api.get("environment", [])}


def examine(stage: Stage) -> Iterator[Check]:
    """AWS first; where its credentials do not work, only what anybody sees."""
    account = examined("account", lambda: _account(stage))
    yield account
    if account.state == "ok":
        for name, needed in _STACKS.items():
            yield examined(f"stack {name}", partial(_stack, stage, name, needed=needed))
        yield examined("API service", lambda: _runs(stage))
        for variable, value in expected(stage).items():
            name = variable.removeprefix(PREFIX).lower().replace("_", " ")
            yield examined(name, partial(_says, stage, variable, value))
        yield examined("bucket CORS", lambda: _cors(stage))
        yield examined("dead letters", lambda: _dead_letters(stage))
        yield examined("secrets", lambda: _secrets(stage))
    yield from outside.examine(stage, told=account.state == "ok")


def expected(stage: Stage) -> dict[str, str]:
    """What the API's tasks have to be told of the domain."""
    return {
        "SPLITSOUND_ISSUER": stage.api,
        "SPLITSOUND_PUBLIC_URL": stage.api,
        "SPLITSOUND_ALLOWED_ORIGINS": stage.front,
        "SPLITSOUND_CHECKOUT_RETURN_URL": f"{stage.front}/credits",
    }


def _account(stage: Stage) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    if not (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")):
        raise Ailing("no region is named", "Set AWS_REGION to the region of the stage.")
    try:
        return f"{stage.account}, {stage.region}"
    except (BotoCoreError, ClientError) as error:
        raise Ailing(
            f"AWS does not take the credentials ({error})",
            "Sign in to the account of the stage (AWS_PROFILE, or AWS_ACCESS_KEY_ID and others).",
        ) from error


def _stack(stage: Stage, name: str, *, needed: bool) -> str:
    state, full = _state(stage, name), f"splitsound-{stage.name}-{name}"
    if not state:
        if needed:
            raise Ailing(f"{full} is not there in {stage.region}", f"{stage.deploy} makes it.")
        return "not deployed, and need not be (SMALL=true)"
    if state.endswith("_IN_PROGRESS"):
        raise Ailing(f"{full} is {state}", "A deployment is under way: look again after it.")
    if state == _WENT_BACK:
        return f"{state}: its last change failed, and it is what it was before"
    if state not in _SOUND:
        events = f"`aws cloudformation describe-stack-events --stack-name {full}`"
        raise Ailing(f"{full} is {state}", f"Look at its events ({events}), then {stage.deploy}.")
    return state


def _state(stage: Stage, name: str) -> str:
    """Its status at CloudFormation; empty where there is none."""
    from botocore.exceptions import ClientError

    formation = stage.client("cloudformation")
    try:
        told = formation.describe_stacks(StackName=f"splitsound-{stage.name}-{name}")
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return ""
        raise
    return str(told["Stacks"][0]["StackStatus"])


def _service(stage: Stage, ecs: Any) -> Any:
    from botocore.exceptions import ClientError

    cluster, name = f"splitsound-{stage.name}", f"splitsound-{stage.name}-api"
    try:
        found = ecs.describe_services(cluster=cluster, services=[name])["services"]
    except ClientError as error:
        raise Ailing(f"no cluster {cluster} ({error})", f"{stage.deploy} makes it.") from error
    if not found or found[0]["status"] != "ACTIVE":
        raise Ailing(f"no service {name} in the cluster {cluster}", f"{stage.deploy} makes it.")
    return found[0]


def _runs(stage: Stage) -> str:
    service = _service(stage, stage.client("ecs"))
    running, wanted = service["runningCount"], service["desiredCount"]
    told = f"{counted(running, 'task')} of {wanted} running"
    if running < max(1, wanted):
        raise Ailing(
            told,
            f"Look at /splitsound/{stage.name}/api in CloudWatch Logs: a task that does not start "
            "says there what is wrong with its settings.",
        )
    return told


def _says(stage: Stage, variable: str, value: str) -> str:
    said = stage.environment.get(variable, "")
    if value not in [each.strip() for each in said.split(",")]:
        raise Ailing(
            f"tasks have {variable} {said or 'empty'}, not {value}",
            f"{stage.deploy} gives everything the names of {stage.domain}.",
        )
    return f"{variable} is {said}"


def _cors(stage: Stage) -> str:
    from botocore.exceptions import ClientError

    bucket = names(stage.name, stage.account, stage.region)["media_bucket"]
    todo = f"{stage.deploy} sets the bucket's CORS rules (AllowedOrigins of the stack data)."
    try:
        rules = stage.client("s3").get_bucket_cors(Bucket=bucket)["CORSRules"]
    except ClientError as error:
        raise Ailing(f"{bucket}: {error.response['Error']['Code']}", todo) from error
    # S3 goes by the first rule that allows origin and method.
    for method in ("PUT", "GET"):
        rule = next((each for each in rules if _allows(each, stage.front, method)), None)
        if rule is None:
            origins = sorted({origin for each in rules for origin in each["AllowedOrigins"]})
            raise Ailing(
                f"{bucket} allows no {method} from {stage.front} (origins: {', '.join(origins)})",
                todo,
            )
        exposed = {name.lower() for name in rule.get("ExposeHeaders", [])}
        if method == "PUT" and "etag" not in exposed:
            raise Ailing(f"{bucket} hides the ETag of a part from pages", todo)
    return f"{bucket} lets pages of {stage.front} send and fetch"


def _allows(rule: Any, origin: str, method: str) -> bool:
    return method in rule["AllowedMethods"] and any(
        fnmatch.fnmatchcase(origin, allowed) for allowed in rule["AllowedOrigins"]
    )


def _dead_letters(stage: Stage) -> str:
    queues = [name for name in QUEUES.values() if name.endswith("-dlq")]
    counts = {name: _waiting(stage, f"splitsound-{stage.name}-{name}") for name in queues}
    dead = [f"{counted(count, 'message')} in {name}" for name, count in counts.items() if count]
    if dead:
        raise Ailing(
            ", ".join(dead),
            f"With SPLITSOUND_STAGE={stage.name} SPLITSOUND_ACCOUNT={stage.account} see "
            "`splitsound dead-letters list`; README, Runbook.",
        )
    return f"none in {counted(len(queues), 'queue')}"


def _waiting(stage: Stage, queue: str) -> int:
    """About how many messages are in it."""
    from botocore.exceptions import ClientError

    sqs, wanted = stage.client("sqs"), "ApproximateNumberOfMessages"
    try:
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise Ailing(f"no queue {queue} ({code})", f"{stage.deploy} makes it.") from error
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[wanted])["Attributes"]
    return int(told[wanted])


def _secrets(stage: Stage) -> str:
    filled = sorted(name for name, value in stage.secrets.items() if value)
    return f"{stage.secret_name}: {', '.join(filled) or 'nothing yet'}"
