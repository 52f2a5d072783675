"""`python -m services.cli` is the command `tonne`."""

from services.cli.main import main

if __name__ == "__main__":  # a process that it starts imports this, too
    main()
