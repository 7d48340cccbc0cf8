"""Mutation testing: small faults put into the RTL, which the suite must find."""
