"""A stage as browsers, sign-in providers and Stripe meet it. See ``checks.stage``."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from domain.errors import SplitSoundError
from handlers.cli.checks import Ailing, Check, examined

if TYPE_CHECKING:
    import httpx

    from handlers.cli.checks.stage import Stage

CALLBACK = "/v1/auth/callback"
WEBHOOK = "/v1/webhooks/stripe"


def examine(stage: Stage, *, told: bool) -> Iterator[Check]:
    """told: whether AWS tells us the stage's secrets."""
    from handlers.client.exchange import http_for

    with http_for(stage.base) as http:
        reached = examined("API from outside", lambda: _reached(stage, http))
        yield reached
        if reached.state == "ok":
            yield examined("keys of tokens", lambda: _keys(stage, http))
            yield examined("CORS of the API", lambda: _preflight(stage, http))
            yield from _sign_in(stage, http, told=told)
    if told:
        yield from _stripe(stage)


def _reached(stage: Stage, http: httpx.Client) -> str:
    import httpx

    try:
        answer = http.get(f"{stage.base}/healthz")
    except httpx.HTTPError as error:
        raise _unreached(stage, error) from error
    if answer.status_code != 200:
        raise Ailing(
            f"{stage.api}/healthz answers {answer.status_code}",
            f"Look at the service splitsound-{stage.name}-api and at its load balancer's targets.",
        )
    return f"{stage.api} answers, with a certificate that browsers take"


def _unreached(stage: Stage, error: Exception) -> Ailing:
    cause: BaseException | None = error
    while cause and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause:
        return Ailing(
            f"browsers refuse the certificate of {stage.api} ({error})",
            f"Deploy with CERTIFICATE= the ARN of one for api.{stage.domain} in {stage.region}.",
        )
    return Ailing(
        f"{stage.api} cannot be reached ({error})",
        f"Make a DNS record api.{stage.domain} for the load balancer: its address is the output "
        f"LoadBalancerName of splitsound-{stage.name}-api, or deploy with ZONE=.",
    )


def _keys(stage: Stage, http: httpx.Client) -> str:
    keys = _json(http.get(f"{stage.base}/.well-known/jwks.json")).get("keys")
    if not keys:
        raise Ailing(
            f"{stage.api}/.well-known/jwks.json has no keys",
            f"The name leads elsewhere, or the API is broken: {stage.deploy}",
        )
    return f"{len(keys)} published at {stage.api}/.well-known/jwks.json"


def _preflight(stage: Stage, http: httpx.Client) -> str:
    headers = {
        "Origin": stage.front,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
    }
    answer = http.options(f"{stage.base}/v1/jobs", headers=headers)
    allowed = answer.headers.get("Access-Control-Allow-Origin")
    if not answer.is_success or allowed != stage.front:
        raise Ailing(
            f"the API lets no page of {stage.front} send a POST (status {answer.status_code}, "
            f"allowed: {allowed or 'nobody'})",
            f"{stage.deploy} sets SPLITSOUND_ALLOWED_ORIGINS.",
        )
    if answer.headers.get("Access-Control-Allow-Credentials") != "true":
        raise Ailing(
            f"pages of {stage.front} may not send the session cookie",
            "SPLITSOUND_ALLOWED_ORIGINS has to name the origin, not *.",
        )
    return f"pages of {stage.front} may call it, with the session cookie"


def _sign_in(stage: Stage, http: httpx.Client, *, told: bool) -> Iterator[Check]:
    def offers() -> str:
        known = _offered(stage, http)
        return _as_configured(stage, known) if told else ", ".join(known) or "nobody signs in there"

    yield (answers := examined("sign-in providers", offers))
    if answers.state == "ok":
        for name in _offered(stage, http):
            yield examined(f"sign-in: {name}", partial(_leads_back, stage, http, name))


def _offered(stage: Stage, http: httpx.Client) -> list[str]:
    listed = _json(http.get(f"{stage.base}/v1/auth/providers")).get("items", [])
    return [str(each["name"]) for each in listed]


def _as_configured(stage: Stage, known: list[str]) -> str:
    text = stage.secrets.get("oidc_providers", "")
    try:
        named = [str(each["name"]) for each in json.loads(text or "[]")]
    except (ValueError, TypeError, KeyError) as error:
        raise Ailing(
            f"oidc_providers in {stage.secret_name} is no JSON list of providers",
            "Write it as the README does (Signing in); a task does not start with this.",
        ) from error
    if sorted(named) != sorted(known):
        raise Ailing(
            f"{stage.secret_name} names {', '.join(named) or 'nobody'}, the API offers "
            f"{', '.join(known) or 'nobody'}",
            f"New tasks read it: {stage.renew}",
        )
    if not known:
        raise Ailing(
            "nobody can sign in", f"Put oidc_providers into {stage.secret_name}, then {stage.renew}"
        )
    return ", ".join(known)


def _leads_back(stage: Stage, http: httpx.Client, name: str) -> str:
    """To the provider, with our redirect address, which the provider has to know."""
    begun = http.get(f"{stage.base}/v1/auth/{name}/login", params={"return_to": f"{stage.front}/"})
    place = begun.headers.get("Location", "")
    if begun.status_code != 303 or not place:
        raise Ailing(
            f"the sign-in does not begin (status {begun.status_code}: {_told(begun)})",
            f"Check {name} in oidc_providers of {stage.secret_name}, then {stage.renew}",
        )
    said = parse_qs(urlsplit(place).query).get("redirect_uri", [""])[0]
    ours = stage.api + CALLBACK
    if said != ours:
        raise Ailing(
            f"{name} is told to send people to {said or 'nowhere'}, not to {ours}",
            f"{stage.deploy} sets SPLITSOUND_PUBLIC_URL.",
        )
    _provider_takes(name, ours, place)
    return f"{name} sends people back to {ours}"


def _provider_takes(name: str, ours: str, place: str) -> None:
    """Providers answer with an error, or lead to a page that tells one (Google)."""
    import httpx

    from handlers.client.exchange import http_for

    try:
        with http_for(place) as http:
            page = http.get(place, follow_redirects=True)
    except httpx.HTTPError as error:
        raise Ailing(
            f"{name} cannot be reached from here ({error})", "Check its issuer, and the network."
        ) from error
    if page.status_code >= 400 or "/error" in page.url.path:
        raise Ailing(
            f"{name} refuses the sign-in (status {page.status_code})",
            f"Register {ours} there as a redirect address of this client, and check client_id.",
        )


def _stripe(stage: Stage) -> Iterator[Check]:
    try:
        key = stage.secrets.get("stripe_api_key", "")
    except Exception:
        return  # the check of the secrets has told it
    if not key:
        yield Check(
            "Stripe", "skipped", f"nothing is sold (no stripe_api_key in {stage.secret_name})"
        )
        return
    yield examined("Stripe webhook", lambda: _webhook(stage, key))


def _webhook(stage: Stage, key: str) -> str:
    from infra.payments.endpoints import endpoints

    ours = stage.api + WEBHOOK
    if not stage.secrets.get("stripe_webhook_secrets"):
        raise Ailing(
            "stripe_webhook_secrets is empty: nobody would get what they pay for",
            f"Put the signing secret of {ours} into {stage.secret_name}, then {stage.renew}",
        )
    try:
        listed = endpoints(key, stage.stripe_base)
    except SplitSoundError as error:
        raise Ailing(
            error.detail, f"Check stripe_api_key in {stage.secret_name}: it may list endpoints."
        ) from error
    found = [each for each in listed if each.url == ours]
    if not found:
        others = ", ".join(each.url for each in listed) or "nowhere"
        raise Ailing(
            f"Stripe sends to {others}, not to {ours}", "Add the endpoint in Stripe's dashboard."
        )
    best = min(found, key=lambda each: (each.status != "enabled", len(each.unsent)))
    if best.status != "enabled":
        raise Ailing(f"{ours} is {best.status}", "Enable the endpoint in Stripe's dashboard.")
    if best.unsent:
        raise Ailing(
            f"{ours} is not sent {', '.join(best.unsent)}",
            "Add these event types to the endpoint in Stripe's dashboard.",
        )
    return f"Stripe sends what is needed to {ours}"


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not answer.is_success or not isinstance(found, dict):
        raise Ailing(
            f"{answer.url.path} answers {answer.status_code}, and no JSON",
            "The name leads elsewhere, or the API is broken: look at its logs.",
        )
    return found


def _told(answer: httpx.Response) -> str:
    """The problem's sentence, or nothing."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, TypeError, KeyError):
        return "no more is told"
