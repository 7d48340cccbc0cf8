"""Time in simulations, as the runner wants it."""

from __future__ import annotations

import os

CLOCK_NS = int(os.environ.get("ENCMAC_CLOCK_NS", "10"))
# of a test in simulated time: 100,000 clock cycles a millisecond
LIMIT = {"timeout_time": int(os.environ.get("ENCMAC_LIMIT_MS", "20")), "timeout_unit": "ms"}
