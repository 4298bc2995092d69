"""The questions that the gateway answers across all services."""
