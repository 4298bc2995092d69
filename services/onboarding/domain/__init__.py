"""The decisions of onboarding."""
