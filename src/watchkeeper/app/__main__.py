"""`python -m watchkeeper.app`: the same as the `watchkeeper` command."""

from watchkeeper.app.cli import main

main()
