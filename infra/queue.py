"""An SQS queue, long-polled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from domain.errors import Unavailable
from infra.faults import unavailable

MOST = 10
"""Messages that SQS takes or gives in one call."""


# What SQS says of a receipt whose message has become visible again, or is gone.
_OVER = {"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"}


class Message(Struct, frozen=True):
    """One delivery. receipt: names this delivery; deliveries: how often it was received."""

    id: str
    body: str
    receipt: str
    deliveries: int


class Queue:
    """client: a low-level boto3 SQS client (thread-safe)."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self.url = url

    def receive(
        self, most: int = 1, wait: int = 20, visibility: int | None = None
    ) -> list[Message]:
        """Up to ``most`` (at most MOST) messages, waiting up to ``wait`` seconds for the first.

        visibility: seconds for which nobody else gets them; the queue's own unless told.
        """
        request: dict[str, Any] = {
            "QueueUrl": self.url,
            "MaxNumberOfMessages": most,
            "WaitTimeSeconds": wait,
            "AttributeNames": ["ApproximateReceiveCount"],
        }
        if visibility is not None:
            request["VisibilityTimeout"] = visibility
        answer = self._call("receive_message", **request)
        return [
            Message(
                m["MessageId"],
                m["Body"],
                m["ReceiptHandle"],
                int(m.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for m in answer.get("Messages", [])
        ]

    def send(self, body: str, delay: int = 0) -> None:
        """Put a message in. delay: seconds before anybody sees it."""
        self._call("send_message", QueueUrl=self.url, MessageBody=body, DelaySeconds=delay)

    def delete(self, message: Message) -> bool:
        """The message is done with. False when this delivery is over: it comes again."""
        return self._while_ours("delete_message", QueueUrl=self.url, ReceiptHandle=message.receipt)

    def delete_all(self, messages: Sequence[Message]) -> list[Message]:
        """All of them are done with, in one call per ten.

        Gives those that the queue did not delete: they will come again.
        """
        kept: list[Message] = []
        for start in range(0, len(messages), MOST):
            batch = messages[start : start + MOST]
            # By position: the same message may have been received twice.
            entries = [{"Id": str(n), "ReceiptHandle": m.receipt} for n, m in enumerate(batch)]
            answer = self._call("delete_message_batch", QueueUrl=self.url, Entries=entries)
            kept += [batch[int(failed["Id"])] for failed in answer.get("Failed", [])]
        return kept

    def hide(self, message: Message, seconds: int) -> bool:
        """Keep the message from others for so many seconds from now; 0 gives it back.

        False when this delivery is over: the message was visible again before this call.
        """
        return self._while_ours(
            "change_message_visibility",
            QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds,
        )  # fmt: skip

    def depth(self) -> int:
        """About how many messages wait, in flight ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._call("get_queue_attributes", QueueUrl=self.url, AttributeNames=names)
        return sum(int(answer["Attributes"][n]) for n in names)

    def _while_ours(self, operation: str, **request: Any) -> bool:
        try:
            self._call(operation, **request)
        except Unavailable as error:
            cause = error.__cause__
            code = cause.response["Error"]["Code"] if isinstance(cause, ClientError) else ""
            if code.rpartition(".")[2] in _OVER:
                return False
            raise
        return True

    def _call(self, operation: str, **request: Any) -> Any:
        try:
            return getattr(self._client, operation)(**request)
        except (ClientError, BotoCoreError) as error:
            raise unavailable("The queue", error, self.url) from error
