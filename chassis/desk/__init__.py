"""The desk: what a service remembers besides its log, behind one port with an adapter for each database."""
