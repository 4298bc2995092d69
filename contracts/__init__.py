"""The published language: what the services tell each other, the values they share, and golden samples of both."""
