"""What registration decides: deals, claims, accounts and the rules they are screened by. No I/O, no clock."""
