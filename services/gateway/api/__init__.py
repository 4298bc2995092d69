"""The routes of the gateway: its own API, the door to the services, and the portal."""
