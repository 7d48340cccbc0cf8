"""One agent per interface kind."""
