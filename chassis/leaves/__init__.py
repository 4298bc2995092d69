"""What a witness keeps of a log, behind one port with an adapter for each database."""
