"""API keys: with which programs act for a person, and how they are recognised."""
