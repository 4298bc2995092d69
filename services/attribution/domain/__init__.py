"""The rules and aggregates of attribution, as pure functions over values."""
