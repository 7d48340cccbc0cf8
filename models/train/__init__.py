"""Training of the networks that encmac ships."""
