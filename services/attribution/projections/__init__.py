"""Read models of attribution, one question a file."""
