"""Who signs people in: OpenID providers, from ``SPLITSOUND_OIDC_PROVIDERS``.

A JSON list, for example for Google, whose word about addresses makes administrators::

    [{"name": "google", "issuer": "https://accounts.google.com", "client_id": "...",
      "client_secret": "...", "admins": true}]

Register ``<SPLITSOUND_PUBLIC_URL>/v1/auth/callback`` with each as the redirect URI.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Struct

from domain.errors import Invalid
from infra.settings import PREFIX, Settings

VARIABLE = f"{PREFIX}OIDC_PROVIDERS"
CALLBACK = "/v1/auth/callback"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class Provider(Struct, frozen=True, forbid_unknown_fields=True):
    """name: in our URLs; title: for people. client_secret: empty for a public client.

    admins: whether an address of ``ADMIN_EMAILS_CSV`` that it vouches for makes an administrator.
    users_as: under which name its subjects are kept, the issuer unless told; so an issuer may
    move to another address and everybody keeps their account.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: str = ""
    title: str = ""
    scopes: tuple[str, ...] = ("openid", "email")
    admins: bool = False
    users_as: str = ""

    @property
    def known_as(self) -> str:
        """What users are keyed by, beside the subject."""
        return self.users_as or self.issuer

    @property
    def label(self) -> str:
        """What a button says."""
        return self.title or self.name.capitalize()


def configured(settings: Settings) -> dict[str, Provider]:
    """The providers by name; none where nobody can sign in. Raises Invalid and says which."""
    known = listed(settings.oidc_providers)
    if not known:
        return {}
    if not is_base(settings.public_url):
        raise Invalid(
            f"Somebody signs people in, so set {PREFIX}PUBLIC_URL too: where browsers reach this "
            f"API, such as https://api.example.org, not {settings.public_url!r}."
        )
    back = settings.sign_in_return_url
    if back and not _is_web_page(back):
        raise Invalid(f"{PREFIX}SIGN_IN_RETURN_URL is no page: {back!r}.")
    return {provider.name: provider for provider in known}


def listed(text: str) -> list[Provider]:
    """The providers in the setting's JSON list; none where it is empty. Raises Invalid."""
    if not text.strip():
        return []
    try:
        found = msgspec.json.decode(text, type=list[Provider])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Invalid(f"{VARIABLE} is not a JSON list of providers: {error}.") from error
    for provider in found:
        _check(provider)
    for what in ("name", "known_as"):
        values = [getattr(provider, what) for provider in found]
        if twice := sorted({v for v in values if values.count(v) > 1}):
            raise Invalid(f"{VARIABLE} names {twice[0]!r} twice; each provider is one of its own.")
    return found


def _check(provider: Provider) -> None:
    where = f"{VARIABLE}, provider {provider.name!r}"
    if not _NAME.fullmatch(provider.name):
        raise Invalid(f"{where}: a name is 1 to 32 of a-z, 0-9 and hyphens.")
    if not is_trustworthy(provider.issuer) or urlsplit(provider.issuer).query:
        raise Invalid(
            f"{where}: an issuer is an https:// URL as its tokens have it (http:// on the "
            f"loopback only), not {provider.issuer!r}."
        )
    if not provider.client_id.strip():
        raise Invalid(f"{where}: give the client_id that you got for this API.")
    if "openid" not in provider.scopes or not all(map(_SCOPE.fullmatch, provider.scopes)):
        raise Invalid(f"{where}: scopes are words, openid among them.")


def is_trustworthy(url: str) -> bool:
    """Whether what is read there is the owner's word: by TLS, or from this machine."""
    parts = _split(url)
    if parts is None or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def is_base(url: str) -> bool:
    """Whether that is scheme, host and port alone, and trustworthy."""
    parts = _split(url)
    return parts is not None and is_trustworthy(url) and not (parts.path or parts.query)


def _is_web_page(url: str) -> bool:
    parts = _split(url)
    return parts is not None and parts.scheme in ("https", "http") and parts.username is None


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None
