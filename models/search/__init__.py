"""Search for encodings: exact statistics of product bits, selection, position weights."""
