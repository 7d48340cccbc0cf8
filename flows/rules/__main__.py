"""`python -m flows.rules`: see the package."""

from flows.rules import main
from models.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
