"""What every service is bolted onto: events, decisions, stores, transport, projections, HTTP. No business word in it."""
