"""The HTTP routes of attribution."""
