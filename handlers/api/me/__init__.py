"""The person who asks: who it is, everything about it, and its end."""
