"""What holds for all tests."""

from __future__ import annotations

import signal

# In the background of a shell SIGINT is ignored, and so it would be by every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
