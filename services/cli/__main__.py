"""`python -m services.cli` is the command `tonne`."""

from services.cli.main import main

main()
