"""The gateway is the one door: tenants, vendor staff, sessions and API keys; the partner API, the portal, live streams.

It owns no business fact: its read models fold public events, its portal calls the public API.
Publishes: TenantOpened. Listens to: every public event.
"""
