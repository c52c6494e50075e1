"""Entry point of ``python -m retrodict``."""

from retrodict.cases.cli import main

if __name__ == "__main__":
    main()
