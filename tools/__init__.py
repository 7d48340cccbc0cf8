"""Setup, doctor, commands and their options, checks of the docs."""
