"""Matching libraries behind the ports that `application` names."""
