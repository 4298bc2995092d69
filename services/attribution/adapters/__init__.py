"""Clients of CRMs behind `CrmPort`, and their simulators."""
