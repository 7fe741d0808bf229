"""Payments: what a webhook and a reconciliation share."""
