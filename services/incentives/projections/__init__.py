"""What people ask incentives: what was earned, what is owed, what was paid, and does it add up."""
