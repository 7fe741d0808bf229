"""An OpenID provider on this machine, so that signing in offline takes the way it takes elsewhere.

Anyone signs in as any address; that address is the subject, so people stay who they are however
often it is started anew. It speaks the authorization code flow with PKCE (S256 only) to one
client, this API. See ``__main__`` for how it is started and ``control`` for how a program signs in.
"""
