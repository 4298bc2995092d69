"""What incentives decides: pure values, rules and aggregates."""
