"""The read-model table: pk ``generation#stream``, sk ``head`` or ``line#<version>``.

Index ``by_owner`` lists a user's heads, ``by_status`` lists heads across users.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError, PynamoDBException
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from domain.errors import Unavailable
from infra import tracing
from infra.cursors import decode_cursor, encode_cursor
from infra.faults import unavailable
from infra.metering import item_size
from projections.ports import HEAD, Page, Row


class _ByOwner(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]  # pynamodb's
    class Meta:
        index_name = "by_owner"
        projection = AllProjection()

    owner = UnicodeAttribute(hash_key=True)
    sort = UnicodeAttribute(range_key=True)


class _ByStatus(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]  # pynamodb's
    class Meta:
        index_name = "by_status"
        projection = AllProjection()

    status = UnicodeAttribute(hash_key=True)
    sort = UnicodeAttribute(range_key=True)


class _Row(Model):
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    v = NumberAttribute()
    body = UnicodeAttribute()
    owner = UnicodeAttribute(null=True)
    sort = UnicodeAttribute(null=True)
    status = UnicodeAttribute(null=True)
    mends = NumberAttribute(null=True)
    by_owner: _ByOwner
    by_status: _ByStatus


def _bound_model(table: str, client: Any) -> type[_Row]:
    """pynamodb keeps the table in the class: one class per table."""
    place = {"region": client.meta.region_name, "host": client.meta.endpoint_url}
    meta = type("Meta", (), {"table_name": table, **place})
    body = {"Meta": meta, "by_owner": _ByOwner(), "by_status": _ByStatus()}
    model: type[_Row] = type("ReadModelRow", (_Row,), body)
    # pynamodb has no public way to a client that is there already; one of its own costs a session,
    # and a millisecond more a call than ours (see infra.straight).
    model._get_connection().connection._client = client
    return model


class DynamoDBRows:
    """Rows (see projections.ports) by pynamodb. client: a low-level boto3 one of DynamoDB."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table
        self._model = _bound_model(table, client)

    def head(self, generation: str, stream: str) -> Row | None:
        """See Rows."""
        try:
            return _from_item(self._model.get(_pk(generation, stream), HEAD, consistent_read=True))
        except DoesNotExist:
            return None
        except PynamoDBException as error:
            raise self._unavailable(error) from error

    def heads(self, generation: str, streams: Sequence[str]) -> dict[str, Row]:
        """See Rows. Batches of a hundred."""
        keys = [(_pk(generation, stream), HEAD) for stream in dict.fromkeys(streams)]
        try:
            found = [_from_item(i) for i in self._model.batch_get(keys, consistent_read=True)]
        except PynamoDBException as error:
            raise self._unavailable(error) from error
        return {row.stream: row for row in found}

    def write(
        self, head: Row, lines: Sequence[Row], expected: int, mends: int | None = None
    ) -> bool:
        """See Rows."""
        with tracing.stage("write rows", stream=head.stream, version=head.version):
            return self._write(head, lines, expected, mends)

    def _write(self, head: Row, lines: Sequence[Row], expected: int, mends: int | None) -> bool:
        model = self._model
        standing = head.mends if mends is None else mends
        mended = model.mends == standing if standing else model.mends.does_not_exist()
        free = model.pk.does_not_exist() if expected == 0 else (model.v == expected) & mended
        try:
            with model.batch_write() as batch:
                for row in lines:
                    batch.save(self._to_item(row))
            self._to_item(head).save(condition=free)
        except PutError as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                return False
            raise self._unavailable(error) from error
        except PynamoDBException as error:
            raise self._unavailable(error) from error
        return True

    def lines(self, generation: str, stream: str, limit: int, cursor: str | None = None) -> Page:
        """See Rows."""
        return self._page(
            lambda start: self._model.query(
                _pk(generation, stream),
                self._model.sk.startswith("line#"),
                scan_index_forward=False,
                consistent_read=True,
                limit=limit,
                last_evaluated_key=start,
            ),
            cursor,
        )

    def owned(
        self,
        generation: str,
        owner: str,
        limit: int,
        cursor: str | None = None,
        between: tuple[str, str] | None = None,
    ) -> Page:
        """See Rows. The index is eventually consistent."""
        return self._page(
            lambda start: self._model.by_owner.query(
                _indexed(generation, owner),
                _ByOwner.sort.between(*between) if between else None,
                scan_index_forward=False,
                limit=limit,
                last_evaluated_key=start,
            ),
            cursor,
        )

    def with_status(self, generation: str, status: str) -> Iterator[Row]:
        """See Rows. The index is eventually consistent."""
        try:
            for item in self._model.by_status.query(_indexed(generation, status)):
                yield _from_item(item)
        except PynamoDBException as error:
            raise self._unavailable(error) from error

    def scan(self, generation: str, segment: int = 0, segments: int = 1) -> Iterator[Row]:
        """See Rows. Reads, and pays for, the rows of all generations."""
        try:
            for item in self._items(generation, segment, segments):
                yield _from_item(item)
        except PynamoDBException as error:
            raise self._unavailable(error) from error

    def delete(self, rows: Sequence[Row]) -> None:
        """See Rows."""
        try:
            with self._model.batch_write() as batch:
                for row in rows:
                    batch.delete(self._to_item(row))
        except PynamoDBException as error:
            raise self._unavailable(error) from error

    def drop(self, generation: str, segment: int = 0, segments: int = 1) -> int:
        """See Rows."""
        count = 0
        try:
            with self._model.batch_write() as batch:
                for item in self._items(generation, segment, segments):
                    batch.delete(item)
                    count += 1
        except PynamoDBException as error:
            raise self._unavailable(error) from error
        return count

    def size(self, row: Row) -> int:
        """Bytes of the row's item, as DynamoDB counts them."""
        texts = {
            "pk": _pk(row.generation, row.stream),
            "sk": row.key,
            "body": row.body,
            "owner": _indexed(row.generation, row.owner) if row.owner else "",
            "sort": row.sort,
            "status": _indexed(row.generation, row.status) if row.status else "",
        }
        item = {name: {"S": text} for name, text in texts.items() if text}
        numbers = {"v": row.version, "mends": row.mends}
        return item_size(item | {n: {"N": str(v)} for n, v in numbers.items() if v})

    def _items(self, generation: str, segment: int, segments: int) -> Any:
        return self._model.scan(
            self._model.pk.startswith(generation + "#"), segment=segment, total_segments=segments
        )

    def _page(self, query: Any, cursor: str | None) -> Page:
        try:
            results = query(decode_cursor(cursor))
            rows = [_from_item(item) for item in results]
            return Page(rows, encode_cursor(results.last_evaluated_key))
        except PynamoDBException as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        return unavailable("The read models", error, f"table/{self._table}")

    def _to_item(self, row: Row) -> _Row:
        return self._model(
            _pk(row.generation, row.stream),
            row.key,
            v=row.version,
            body=row.body,
            owner=_indexed(row.generation, row.owner) if row.owner else None,
            sort=row.sort or None,
            status=_indexed(row.generation, row.status) if row.status else None,
            mends=row.mends or None,
        )


def _from_item(item: Any) -> Row:
    generation, stream = item.pk.split("#", 1)
    return Row(
        generation=generation,
        stream=stream,
        key=item.sk,
        version=int(item.v),
        body=item.body,
        owner=_bare(item.owner) or "",
        sort=item.sort or "",
        status=_bare(item.status),
        mends=int(item.mends or 0),
    )


def _pk(generation: str, stream: str) -> str:
    return f"{generation}#{stream}"


def _indexed(generation: str, value: str) -> str:
    return f"{generation}#{value}"


def _bare(indexed: str | None) -> str | None:
    return indexed.split("#", 1)[1] if indexed else None
