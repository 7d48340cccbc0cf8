"""Power of mapped columns from the toggles of gate-level simulations on layers of a network."""
