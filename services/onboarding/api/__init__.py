"""The routes of onboarding."""
