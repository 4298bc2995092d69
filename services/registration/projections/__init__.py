"""What registration can answer: the board, one deal, both sides of a conflict, the accounts, and what is due."""
