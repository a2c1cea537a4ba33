"""The layering of the house, checked like any other promise."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent


def test_every_import_goes_down_the_layers() -> None:
    """No module imports one of a higher layer, and the other contracts of `pyproject.toml` hold."""
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_service_never_loads_a_decoder() -> None:
    """Building the service imports neither PyAV nor Pillow: a hostile video can't reach its process."""
    code = "import vodsprite.service, sys; print(sorted({'av', 'PIL'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
