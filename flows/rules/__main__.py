"""`python -m flows.rules`: see the package."""

from common.errors import run_cli
from flows.rules import main

if __name__ == "__main__":
    run_cli(main)
