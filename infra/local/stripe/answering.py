"""From a request to Stripe's answer: the key, the form, idempotency, lists and expansion."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec import Struct
from msgspec.structs import replace

from infra.local.stripe.desk import Desk, new_id
from infra.local.stripe.errors import Refused, missing
from infra.local.stripe.forms import P, checked, nested
from infra.local.stripe.idempotency import Running, earlier, fingerprint
from infra.local.stripe.objects import KINDS, Cause, CheckoutSession, Event, Order, Stored
from infra.local.stripe.parameters import Listing, Query, Range
from infra.local.stripe.store import Answer, Selection, Transaction

Asked = Request[Any, Any, Any]
Act = Callable[[Transaction, Cause], Stored]
_EXPANDABLE = frozenset({"payment_intent", "charge", "latest_charge"})
_MAX_LIMIT = 100


class Counter:
    """Serves the API's requests over a desk, for whoever has the key."""

    def __init__(self, desk: Desk, key: str) -> None:
        self.desk = desk
        self._key = key
        self._running = Running()

    def read(self, request: Asked, expected: type[P], find: Callable[[Transaction, P], Any]) -> Any:
        """Answer a GET with what ``find`` gives."""
        self._authorize(request)
        query = checked(nested(request.scope["query_string"].decode()), expected)
        with self.desk.store.transaction() as tx:
            shown = self._shown(tx, find(tx, query))
            expand = query.expand if isinstance(query, Query) else []
            return Response(self._expanded(tx, shown, expand), headers=_headers(new_id("req_")))

    def write(
        self,
        request: Asked,
        body: bytes,
        expected: type[P],
        act: Callable[[Transaction, P, Cause], Stored],
    ) -> Response[bytes]:
        """Answer a POST with what ``act`` does, once for each idempotency key."""
        self._authorize(request)
        text = _text(body)
        asked = checked(nested(text), expected)
        key = request.headers.get("Idempotency-Key") or None
        identifier = new_id("req_")
        cause = Cause(identifier, key)

        def perform(tx: Transaction) -> bytes:
            shown = self._shown(tx, act(tx, asked, cause))
            expand = asked.expand if isinstance(asked, Query) else []
            return msgspec.json.encode(self._expanded(tx, shown, expand))

        if key is None:
            with self.desk.store.transaction() as tx:
                answer = Answer("", 200, perform(tx))
            replayed = False
        else:
            mark = fingerprint(request.method, request.url.path, text)
            with self._running.only(key):
                answer, replayed = self._once(key, mark, perform)
        self.desk.on_event()
        headers = _headers(identifier) | ({"Idempotency-Key": key} if key else {})
        if replayed:
            headers["Idempotent-Replayed"] = "true"
        return Response(
            answer.body, status_code=answer.status, headers=headers, media_type="application/json"
        )

    def _once(
        self, key: str, mark: str, perform: Callable[[Transaction], bytes]
    ) -> tuple[Answer, bool]:
        with self.desk.store.transaction() as tx:
            if found := earlier(tx, key, mark):
                return found, True
            try:
                answer = Answer(mark, 200, perform(tx))
            except Refused as refused:
                # Decisions are made before anything is written: there is nothing to take back.
                if not refused.executed:
                    raise
                answer = Answer(mark, refused.status, msgspec.json.encode(refused.answer()))
            tx.keep(key, answer, int(self.desk.clock()))
            return answer, False

    def _authorize(self, request: Asked) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise Refused(
                "You did not provide an API key. Give it in the Authorization header, using "
                "Bearer auth (`Authorization: Bearer sk_test_...`).",
                status=401,
            )
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            raise Refused(
                f"Invalid API Key provided: {given[:8]}{'*' * 8}{given[-4:]}. The local "
                "stand-in's is in keys/stripe_api.key of the data directory.",
                status=401,
            )

    def found(
        self, tx: Transaction, identifier: str, expected: type[Stored], param: str = "id"
    ) -> Stored:
        """The object of that id. Raises Refused (404)."""
        thing = tx.get(identifier, expected)
        if thing is None:
            kind = next(name for name, one in KINDS.items() if one is expected)
            raise missing(kind, identifier[:100], param)
        return thing

    def listed(self, tx: Transaction, kind: str, query: Listing, path: str) -> dict[str, Any]:
        """A page of Stripe's list object, newest first."""
        if not 1 <= query.limit <= _MAX_LIMIT:
            raise Refused(
                f"Invalid limit: must be between 1 and {_MAX_LIMIT}.",
                code="parameter_invalid_integer",
                param="limit",
            )
        if query.starting_after and query.ending_before:
            raise Refused("Give starting_after or ending_before, not both.", param="ending_before")
        for param in ("starting_after", "ending_before"):
            cursor = getattr(query, param)
            if cursor and tx.get(cursor, KINDS[kind]) is None:
                raise missing(kind, cursor[:100], param)
        selection = _selection(tx, kind, query)
        # One more than asked for tells whether there are more.
        page = list(islice(tx.newest(selection), query.limit + 1)) if selection else []
        data = page[: query.limit]
        if query.ending_before:
            data.reverse()
        return {
            "object": "list",
            "url": path,
            "has_more": len(page) > query.limit,
            "data": [self._shown(tx, one) for one in data],
        }

    def _shown(self, tx: Transaction, thing: Any) -> Any:
        if isinstance(thing, CheckoutSession) and thing.status == "open":
            # The port may be another one than when it was made.
            thing = replace(thing, url=self.desk.place.page(thing.id))
        if isinstance(thing, Event):
            delivery = tx.delivery(thing.id)
            waiting = delivery is not None and delivery.next_at is not None
            thing = replace(thing, pending_webhooks=int(waiting))
        return msgspec.to_builtins(thing) if isinstance(thing, Struct) else thing

    def _expanded(self, tx: Transaction, shown: Any, paths: list[str]) -> Any:
        for path in paths:
            many = shown.get("object") == "list"
            if many and not path.startswith("data."):
                raise Refused(f"This property cannot be expanded ({path[:50]}).", param="expand")
            for one in shown["data"] if many else [shown]:
                self._expand(tx, one, path.removeprefix("data." if many else "").split("."))
        return shown

    def _expand(self, tx: Transaction, shown: dict[str, Any], path: list[str]) -> None:
        name, *rest = path
        if name == "line_items" and shown["object"] == "checkout.session":
            shown[name] = line_items(tx, shown["id"])
            return
        if name not in _EXPANDABLE or name not in shown:
            raise Refused(f"This property cannot be expanded ({name[:50]}).", param="expand")
        if isinstance(identifier := shown[name], str):
            kind = "payment_intent" if name == "payment_intent" else "charge"
            shown[name] = msgspec.to_builtins(self.found(tx, identifier, KINDS[kind]))
        if rest and isinstance(shown[name], dict):
            self._expand(tx, shown[name], rest)


def line_items(tx: Transaction, session: str) -> dict[str, Any]:
    """What a session is about, as a list object."""
    order = tx.get(f"order_{session}", Order)
    if order is None:
        raise missing("checkout.session", session[:100], "session")
    return {
        "object": "list",
        "url": f"/v1/checkout/sessions/{session}/line_items",
        "has_more": False,
        "data": msgspec.to_builtins(order.line_items),
    }


def _selection(tx: Transaction, kind: str, query: Listing) -> Selection | None:
    """What the query means; None when nothing can match."""
    purchase = None
    if part := query.payment_intent or query.charge:
        purchase = tx.purchase_of(part)
        if purchase is None:
            return None
    since, until = _bounds(query.created)

    def matches(thing: Stored) -> bool:
        types = [*query.types, *filter(None, [query.type])]
        if isinstance(thing, Event):
            return not types or any(_of_type(thing.type, one) for one in types)
        return not query.status or getattr(thing, "status", None) == query.status

    return Selection(
        kind=kind,
        purchase=purchase,
        since=since,
        until=until,
        after=query.starting_after,
        before=query.ending_before,
        matches=matches,
    )


def _of_type(given: str, wanted: str) -> bool:
    """``charge.*`` means all that begin so."""
    return given.startswith(wanted[:-1]) if wanted.endswith(".*") else given == wanted


def _bounds(created: Range | int | None) -> tuple[int | None, int | None]:
    """The first and the last second that count."""
    if created is None or isinstance(created, int):
        return created, created
    lows = [n for n in (created.gte, _next(created.gt, 1)) if n is not None]
    highs = [n for n in (created.lte, _next(created.lt, -1)) if n is not None]
    return max(lows, default=None), min(highs, default=None)


def _next(bound: int | None, step: int) -> int | None:
    return None if bound is None else bound + step


def _headers(identifier: str) -> dict[str, str]:
    return {"Request-Id": identifier}


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Refused("The body is not a form in UTF-8.") from error


# The parameters of route handlers.
TheDesk = NamedDependency[SkipValidation[Desk]]
TheCounter = NamedDependency[SkipValidation[Counter]]
