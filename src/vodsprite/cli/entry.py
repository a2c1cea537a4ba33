"""Where the program begins, light enough that Ctrl-C while the rest is loading ends it in silence."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from vodsprite.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
