"""Incentives over HTTP."""
