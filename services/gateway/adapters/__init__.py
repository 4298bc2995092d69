"""How the gateway reaches the services, and who vouches for a person in development."""
