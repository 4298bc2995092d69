"""How long tests wait for what they expect."""

PATIENCE_SECONDS = 120.0
"""More than anything expected takes on a slow machine beside much other work, and less than pytest lets a test last.

A test that finds what it waits for never waits so long.
"""
