"""What an AWS service refused or left unanswered, as an error of ours.

When AWS denies a call, somebody has to change a policy, and no retry helps. So the error names
the action and the resource that the policy lacks, where AWS's own words or the request tell
them. Who asked (``User: arn:...``), account ids and whole object keys stay in the log, which has
AWS's error as the cause.
"""

from __future__ import annotations

import re
from typing import Any

from domain.errors import AccessDenied, Unavailable

# The last word of AWS's error code; HeadObject has no body, so its code is the bare status.
_DENIALS = {
    "AccessDenied",
    "AccessDeniedException",
    "AccessDeniedFault",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
    "UnauthorizedAccess",
    "NotAuthorized",
    "NotAuthorizedException",
    "KmsAccessDenied",
    "KMSAccessDeniedException",
    "403",
    "Forbidden",
}
_ASKED = re.compile(
    r"not authorized to perform:? (?P<action>[\w-]+:[\w*]+)"
    r"(?: on (?:the )?(?:resource:? )?(?P<resource>\"[^\"]*\"|[^\s,]+))?",
    re.IGNORECASE,
)
_NAMED = re.compile(r"access to the resource (?P<resource>\S+) is denied", re.IGNORECASE)
_FORBIDDEN = re.compile(r"explicit deny in (?P<kind>an? [a-z -]+?)(?=:|\.|,| with|$)")
_MISSING = re.compile(r"because no (?P<kind>[a-z -]+?) allows")
_ARN = re.compile(r"arn:[^:\s]*:(?P<service>[^:\s]*):[^:\s]*:[^:\s]*:(?P<rest>\S+)")
_QUEUE_URL = re.compile(r"https?://[^/\s]+/\d+/(?P<name>[^/\s]+)")
_ON_TABLE = re.compile(r"on table \((?P<table>[^)]+)\)")
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")

# The action in a policy, where it is not `service:Operation` of the service that has it.
_ACTIONS = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "DeleteObjects": "s3:DeleteObject",
    "PutEvents": "events:PutEvents",
    "TransactWriteItems": "dynamodb:PutItem",
    "TransactGetItems": "dynamodb:GetItem",
}
_OPERATIONS = {
    "s3": {"AbortMultipartUpload", "DeleteObject", "GetObject", "PutObject"},
    "sqs": {
        "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage",
        "SendMessage",
    },
    "dynamodb": {
        "BatchGetItem", "BatchWriteItem", "DeleteItem", "DescribeTable", "GetItem", "PutItem",
        "Query", "Scan", "UpdateItem",
    },
    "kms": {"Decrypt", "Encrypt", "GenerateDataKey"},
}  # fmt: skip
_BY_OPERATION = {
    operation: f"{service}:{operation}"
    for service, operations in _OPERATIONS.items()
    for operation in operations
} | _ACTIONS
_NOT_TOLD = "a resource that AWS did not name"


def unavailable(service: str, error: Exception, resource: str = "") -> Unavailable:
    """A service's refusal or silence as an error of ours: AccessDenied, else Unavailable.

    service: begins the sentence (``The queue``). error: botocore's, or pynamodb's around it.
    resource: what the request was about, for services that do not say: an ARN (that of an
    object is cut to its folder), a queue's URL, or a name as it stands in an ARN (``table/x``).
    """
    told = _told(error)
    if str(told.get("Code", "")).rpartition(".")[2].rpartition("#")[2] in _DENIALS:
        return _denied(error, str(told.get("Message", "")), resource)
    return Unavailable(f"{service} did not do it ({error}); nothing was decided. Try again.")


def _denied(error: Exception, message: str, resource: str) -> AccessDenied:
    operation = _operation(error)
    asked = _ASKED.search(message)
    usual = _BY_OPERATION.get(operation, operation)
    action = asked["action"] if asked else usual
    if action.lower() == usual.lower():
        action = usual  # SQS says sqs:sendmessage
    what = _short(_named(message, asked) or resource or _table(error))
    forbidden, missing = _FORBIDDEN.search(message), _MISSING.search(message)
    if forbidden:
        why = f"an explicit deny in {forbidden['kind']} forbids it"
        remedy = "take it out of that deny"
    else:
        why = f"no {missing['kind'] if missing else 'policy'} allows it"
        remedy = f"allow {action or 'it'} there for the role that this process runs as"
    hint = ""
    if operation == "HeadObject":
        hint = " Without s3:ListBucket AWS answers the same for an object that does not exist."
    return AccessDenied(
        f"AWS denied {action or 'the call'} on {what or _NOT_TOLD}: {why}. Nothing was done. "
        f"The operator has to {remedy}; until then trying again changes nothing.{hint}",
        action=action,
        resource=what,
    )


def _named(message: str, asked: re.Match[str] | None) -> str:
    named = asked["resource"] if asked else None
    if not named and (found := _NAMED.search(message)):
        named = found["resource"]
    return (named or "").strip('"')


def _table(error: Exception) -> str:
    """pynamodb's errors name the table, in their text only."""
    found = _ON_TABLE.search(str(error))
    return f"table/{found['table']}" if found else ""


def _told(error: Exception) -> dict[str, Any]:
    """AWS's code and message. pynamodb wraps botocore's error, sometimes more than once."""
    found = getattr(_innermost(error), "response", None)
    told: dict[str, Any] = found.get("Error", {}) if isinstance(found, dict) else {}
    return told


def _operation(error: Exception) -> str:
    return str(getattr(_innermost(error), "operation_name", ""))


def _innermost(error: BaseException) -> BaseException:
    seen = {id(error)}
    while isinstance(cause := getattr(error, "cause", None), BaseException):
        if id(cause) in seen:
            break
        seen.add(id(cause))
        error = cause
    return error


def _short(resource: str) -> str:
    """A resource as its owner calls it: no account, no region, no whole object key."""
    if url := _QUEUE_URL.fullmatch(resource):
        return url["name"]
    arn = _ARN.fullmatch(resource)
    name = arn["rest"] if arn else resource
    # Names of buckets carry it too; a pattern still says which one.
    return _ACCOUNT.sub("*", _prefix(name) if arn and arn["service"] == "s3" else name)


def _prefix(place: str) -> str:
    """``bucket/a/b/key`` as ``bucket/a/b/``; a bare name stays."""
    folder, slash, _key = place.rpartition("/")
    return folder + slash if slash else place
