"""`python -m palmetto.cli` is `palmetto`."""

from palmetto.cli.main import main

main()
