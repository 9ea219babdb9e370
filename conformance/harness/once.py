"""Things that are installed once, whichever of several processes comes first."""

import fcntl
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / ".venv"


def once(name, install):
    """The folder of that name beside the packages of the suite; `install(folder)` fills it, once.

    What is half installed is no more than begun: it is installed again. Another `name` for another
    version.
    """
    folder = FOLDER / name
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "installed"
        if not done.exists():
            folder.mkdir(exist_ok=True)
            install(folder)
            done.touch()
    return folder
