"""Speed of our tools beside a peer that computes the same: `python -m bench`."""
