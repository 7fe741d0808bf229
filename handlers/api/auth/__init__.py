"""Signing in and out, and what others need to believe our tokens."""
