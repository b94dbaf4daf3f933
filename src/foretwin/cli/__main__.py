"""Run the command line: `python -m foretwin.cli`."""

from foretwin.cli.main import main

if __name__ == "__main__":
    main()
