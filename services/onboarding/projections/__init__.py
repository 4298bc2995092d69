"""The questions that onboarding answers."""
