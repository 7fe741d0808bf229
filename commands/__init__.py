"""What may happen: one frozen Struct and one handler function per command.

A handler loads one or two streams, lets ``domain`` decide, and appends the events. It
writes nothing else, so a command is committed wholly or not at all, and whatever must
follow is woken by the commit itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from commands.dispatch import Context, Position, execute

if TYPE_CHECKING:
    from commands.endpoints import (
        AddWebhookEndpoint,
        ChangeWebhookEndpoint,
        DisableWebhookEndpoint,
        EnableWebhookEndpoint,
        RemoveWebhookEndpoint,
        RotateWebhookSecret,
    )
    from commands.erasing import EraseAccount, EraseAsset, EraseJob, ErasePurchase
    from commands.ledger import AdjustCredits
    from commands.library import (
        DeleteAsset,
        DeleteJob,
        PurgeAsset,
        PurgeJob,
        RenameAsset,
        RestoreAsset,
        RestoreJob,
        TagAsset,
    )
    from commands.operations import (
        AbandonSeparation,
        NoteAct,
        Pause,
        RefundSeparation,
        RequeueSeparation,
        Resume,
    )
    from commands.purchases import (
        NoteDispute,
        NoteRefund,
        OpenCheckout,
        RecordLapse,
        RecordPayment,
        RecordPending,
        RecordRefund,
    )
    from commands.separations import (
        CancelSeparation,
        CompleteSeparation,
        FailSeparation,
        HandBack,
        RecordStage,
        RequestSeparation,
        StartSeparation,
        StoreStem,
        TidyMedia,
    )
    from commands.uploads import (
        AbortUpload,
        CompleteUpload,
        InitializeUpload,
        RecordProbe,
        RejectAsset,
    )
    from commands.users import CreateApiKey, EraseUser, FinishErasure, RevokeApiKey, SignUp

__all__ = [
    "AbandonSeparation",
    "AbortUpload",
    "AddWebhookEndpoint",
    "AdjustCredits",
    "CancelSeparation",
    "ChangeWebhookEndpoint",
    "CompleteSeparation",
    "CompleteUpload",
    "Context",
    "CreateApiKey",
    "DeleteAsset",
    "DeleteJob",
    "DisableWebhookEndpoint",
    "EnableWebhookEndpoint",
    "EraseAccount",
    "EraseAsset",
    "EraseJob",
    "ErasePurchase",
    "EraseUser",
    "FailSeparation",
    "FinishErasure",
    "HandBack",
    "InitializeUpload",
    "NoteAct",
    "NoteDispute",
    "NoteRefund",
    "OpenCheckout",
    "Pause",
    "Position",
    "PurgeAsset",
    "PurgeJob",
    "RecordLapse",
    "RecordPayment",
    "RecordPending",
    "RecordProbe",
    "RecordRefund",
    "RecordStage",
    "RefundSeparation",
    "RejectAsset",
    "RemoveWebhookEndpoint",
    "RenameAsset",
    "RequestSeparation",
    "RequeueSeparation",
    "RestoreAsset",
    "RestoreJob",
    "Resume",
    "RevokeApiKey",
    "RotateWebhookSecret",
    "SignUp",
    "StartSeparation",
    "StoreStem",
    "TagAsset",
    "TidyMedia",
    "execute",
]

_HOMES = {
    name: module
    for module, names in {
        "endpoints": (
            "AddWebhookEndpoint ChangeWebhookEndpoint DisableWebhookEndpoint "
            "EnableWebhookEndpoint RemoveWebhookEndpoint RotateWebhookSecret"
        ),
        "erasing": "EraseAccount EraseAsset EraseJob ErasePurchase",
        "ledger": "AdjustCredits",
        "library": (
            "DeleteAsset DeleteJob PurgeAsset PurgeJob RenameAsset RestoreAsset RestoreJob TagAsset"
        ),
        "operations": ("AbandonSeparation NoteAct Pause RefundSeparation RequeueSeparation Resume"),
        "purchases": (
            "NoteDispute NoteRefund OpenCheckout RecordLapse RecordPayment "
            "RecordPending RecordRefund"
        ),
        "separations": (
            "CancelSeparation CompleteSeparation FailSeparation HandBack "
            "RecordStage RequestSeparation StartSeparation StoreStem TidyMedia"
        ),
        "uploads": "AbortUpload CompleteUpload InitializeUpload RecordProbe RejectAsset",
        "users": "CreateApiKey EraseUser FinishErasure RevokeApiKey SignUp",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    """Whoever asks for a command waits for its module alone: functions in Lambda start so."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
