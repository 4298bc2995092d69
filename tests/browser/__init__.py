"""The portal in a real browser, before the whole system in a process of its own."""
