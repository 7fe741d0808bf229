"""What `splitsound bench api` stands beside ours: the usual endpoint for the same request.

FastAPI, SQLAlchemy and PostgreSQL: the token is checked, the body validated, the account read and
locked, the job's row inserted and the balance updated, in one transaction. No events, no history,
no look at the asset, no estimate of the end; it is as little as would do.

    python -m tests.bench.peer PORT DATABASE_URL PUBLIC_KEY_FILE ISSUER AUDIENCE
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import jwt
import uvicorn
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

GRANT = 1_000_000
PRICE = 240


class Table(DeclarativeBase):
    """The tables."""


class Account(Table):
    """Credits of one user."""

    __tablename__ = "accounts"
    user_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    available: Mapped[int] = mapped_column(BigInteger)
    held: Mapped[int] = mapped_column(BigInteger)


class Job(Table):
    """One separation."""

    __tablename__ = "jobs"
    job_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), index=True)
    asset_id: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(64))
    format: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16), index=True)
    price: Mapped[int] = mapped_column(BigInteger)
    requested_at: Mapped[datetime]


class Wish(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid")
    asset_id: Annotated[str, Field(max_length=64, pattern="^ast_[0-9a-z]{26}$")]
    model: Annotated[str, Field(min_length=1, max_length=64)] = "spleeter-2stems"
    stems: Annotated[list[str], Field(min_length=1, max_length=32)] | None = None
    format: Annotated[str, Field(min_length=1, max_length=64)] = "flac"


class Accepted(BaseModel):
    """The answer."""

    model_config = ConfigDict(from_attributes=True)
    job_id: str
    status: str
    asset_id: str
    model: str
    format: str
    price: int
    requested_at: datetime


def _session(request: Request) -> Iterator[Session]:
    with Session(request.app.state.engine) as opened:
        yield opened


def _caller(request: Request, authorization: Annotated[str, Header()] = "") -> str:
    state, token = request.app.state, authorization.removeprefix("Bearer ")
    try:
        claims = jwt.decode(
            token, state.key, ["EdDSA"], issuer=state.issuer, audience=state.audience
        )
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Send a token.") from None
    return str(claims["sub"])


Db = Annotated[Session, Depends(_session)]
User = Annotated[str, Depends(_caller)]
app = FastAPI()


@app.put("/v1/accounts", status_code=204)
def open_account(user: User, db: Db) -> None:
    """Give somebody credits."""
    db.add(Account(user_id=user, available=GRANT, held=0))
    db.commit()


@app.get("/v1/accounts")
def show_account(user: User, db: Db) -> dict[str, int]:
    """What somebody has."""
    account = db.get_one(Account, user)
    return {"available": account.available, "held": account.held}


@app.post("/v1/jobs", status_code=201)
def request_job(wish: Wish, user: User, db: Db) -> Accepted:
    """Hold the price and queue the job."""
    account = db.scalar(select(Account).where(Account.user_id == user).with_for_update())
    if account is None or account.available < PRICE:
        raise HTTPException(402, "Not enough credits.")
    account.available -= PRICE
    account.held += PRICE
    job = Job(
        job_id=f"job_{uuid.uuid4().hex}", user_id=user, asset_id=wish.asset_id,
        model=wish.model, format=wish.format, status="queued", price=PRICE,
        requested_at=datetime.now(UTC).replace(tzinfo=None),
    )  # fmt: skip
    db.add(job)
    answer = Accepted.model_validate(job)
    db.commit()
    return answer


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """It lives."""
    return {"status": "ok"}


def main(port: str, database: str, public_key: str, issuer: str, audience: str) -> None:
    """Serve it as ours is served."""
    state = app.state
    state.engine = create_engine(database, pool_size=32)
    state.key = load_pem_public_key(Path(public_key).read_bytes())
    state.issuer, state.audience = issuer, audience
    Table.metadata.create_all(state.engine)
    uvicorn.run(
        app, host="127.0.0.1", port=int(port), access_log=False, log_config=None,
        server_header=False,
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
