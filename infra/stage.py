"""How a stage's parts are called on AWS: by the stage, the account and the region, nothing else.

``template.yaml`` gives them these names (a test compares), so whoever knows the stage needs no
list of outputs, and stacks that change at different speeds need not import from each other.
"""

from __future__ import annotations

FORM = r"[a-z0-9][a-z0-9-]{0,19}"
"""What a stage may be called."""

QUEUES = {
    "separation_queue": "separation",
    "separation_long_queue": "separation-long",
    "separation_gpu_queue": "separation-gpu",
    "separation_gpu_long_queue": "separation-gpu-long",
    "separation_dlq": "separation-dlq",
    "probe_queue": "probe",
    "probe_dlq": "probe-dlq",
    "projections_queue": "projections",
    "projections_dlq": "projections-dlq",
    "webhooks_queue": "webhooks",
    "webhooks_dlq": "webhooks-dlq",
    "janitor_queue": "janitor",
    "janitor_dlq": "janitor-dlq",
}
"""Settings that name queues, each with the last part of its queue's name."""

LANE_QUEUES = {
    "short": "separation_queue",
    "long": "separation_long_queue",
    "gpu-short": "separation_gpu_queue",
    "gpu-long": "separation_gpu_long_queue",
}
"""The lanes of separations, each with the setting that names its queue. They share dead letters."""


def names(stage: str, account: str, region: str) -> dict[str, str]:
    """Settings by name, for a stage in that account and region."""
    prefix = f"splitsound-{stage}"
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    place = f"https://sqs.{region}.{suffix}/{account}"
    return {
        "events_table": f"{prefix}-events",
        "read_models_table": f"{prefix}-read-models",
        "operations_table": f"{prefix}-operations",
        "keys_table": f"{prefix}-keys",
        "keys_key": f"alias/{prefix}-keys",
        "digest_key": f"alias/{prefix}-digests",
        "event_bus": prefix,
        "media_bucket": f"{prefix}-media-{account}-{region}",
        "audit_bucket": f"{prefix}-audit-{account}-{region}",
        **{setting: f"{place}/{prefix}-{queue}" for setting, queue in QUEUES.items()},
    }
