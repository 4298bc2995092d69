"""The event store: the log of one service in one total order, behind one port with an adapter for each database."""
