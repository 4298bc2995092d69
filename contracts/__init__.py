"""The published language: what the services tell each other, the values they share, and golden samples of both.

An event is a class in the module of the service that tells it. Who tells what stands in that service's `publishing.py`,
who hears it in the table `REACTIONS` of each `reactions.py`. How one is added: README, "Add an event".
"""
