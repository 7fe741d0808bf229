"""``GET /.well-known/jwks.json``: the public keys of our access tokens (RFC 7517, section 5)."""

from __future__ import annotations

import asyncio
import hashlib

from litestar import Response, get
from msgspec import Struct

from handlers.api.requests import ApiRequest
from handlers.api.revalidation import NOT_MODIFIED, is_current
from handlers.api.service import Api

# Half of the time that a new key is published before it signs (infra.identity.ring).
_CACHING = "public, max-age=300"


class PublicKey(Struct, frozen=True):
    """An Ed25519 public key (RFC 8037, section 2). kid: its RFC 7638 thumbprint."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class KeySet(Struct, frozen=True):
    """keys: in the order in which they sign; the last may not sign yet."""

    keys: list[PublicKey]


@get(
    "/.well-known/jwks.json",
    responses=NOT_MODIFIED,
    summary="Public keys of access tokens",
    operation_id="getKeySet",
    opt={"rate": None},
    response_description="A JSON Web Key Set.",
    tags=["session"],
)
async def key_set(request: ApiRequest, service: Api) -> Response[KeySet]:
    """Verify access tokens with these. A new key stands here ten minutes before it signs, so
    that what you keep for the five minutes of ``Cache-Control`` always suffices.
    """
    published = await asyncio.to_thread(service.application.identity.signing_keys.published)
    keys = [PublicKey(**key.jwk) for key in published]
    made = hashlib.sha256(" ".join(key.kid for key in keys).encode()).hexdigest()[:32]
    headers = {"ETag": f'"{made}"', "Cache-Control": _CACHING}
    if is_current(request, made):
        return Response(None, status_code=304, headers=headers)  # type: ignore[arg-type]
    return Response(KeySet(keys), headers=headers)
