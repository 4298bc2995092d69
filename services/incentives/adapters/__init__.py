"""Whoever moves the money, behind the port that the application names."""
