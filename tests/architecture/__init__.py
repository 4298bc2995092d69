"""The house holds its shape: rooms, arrows and habits that a reviewer should not have to look for."""
