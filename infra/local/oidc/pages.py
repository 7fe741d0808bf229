"""The pages that people see."""

from __future__ import annotations

from html import escape

from litestar import Response

from infra.local.pages import BRAND, Shell

page = Shell(__package__).page


def sign_in(typed: str, wrong: str = "", status: int = 200) -> Response[str]:
    """Who are you? Posted to the very address that the browser is at."""
    alarm = f'<p class="wrong" id="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    described = ' aria-invalid="true" aria-describedby="wrong"' if wrong else ""
    body = f"""<main class="sheet">{BRAND}<h1>Sign in</h1>
<p class="soft">Type any e-mail address. Another address is another user.</p>
<form method="post"><label class="field">E-mail address
<input type="text" inputmode="email" name="email" value="{escape(typed, quote=True)}"{described}
 placeholder="you@example.com" autocomplete="email" autocapitalize="none" spellcheck="false"
 autofocus></label>{alarm}
<label class="tick"><input type="checkbox" name="unverified" value="1"><span>Say that the address is
 not verified<span class="small soft"> (to see how your page takes it)</span></span></label>
<button class="main" type="submit" name="how" value="sign-in">Continue</button>
<button class="bare" type="submit" name="how" value="cancel">Cancel</button></form></main>"""
    return page("Sign in", body, status=status)


def done(error: str) -> Response[str]:
    """A sign-in came to its end, and no front end asked to have the browser back."""
    if error:
        said = f"SplitSound answered <code>{escape(error[:60])}</code>."
        return _notice("You are not signed in", said)
    said = "You can close this page. A front end names its own page with <code>return_to</code>."
    return _notice("You are signed in", said)


def home() -> Response[str]:
    """What this is."""
    said = (
        "It signs anyone in as any address, on this machine only. A sign-in begins at SplitSound: "
        "<code>GET /v1/auth/local/login</code>."
    )
    return _notice("The local OpenID provider", said)


def failed(why: str, status: int) -> Response[str]:
    """What nobody can be sent anywhere for."""
    return _notice("That did not work", escape(why), status)


def _notice(title: str, said: str, status: int = 200) -> Response[str]:
    body = f'<main class="sheet">{BRAND}<h1>{escape(title)}</h1><p class="soft">{said}</p></main>'
    return page(title, body, status=status)
