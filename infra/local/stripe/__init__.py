"""A stand-in for Stripe on this machine: enough of its API for whole purchases, no real money.

The real SDK talks to it; a person pays on its page, and its dashboard does what a bank or a buyer
would do later: refunds, disputes, bank payments that settle or fail. See ``__main__`` for how it
is started and ``control`` for how a program clicks.
"""
