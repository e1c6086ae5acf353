"""What the harness asks of a backup program; each one answers in a file of `tools/`."""

import importlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

TOOLS = Path(__file__).resolve().parent.parent / "tools"


@dataclass(frozen=True)
class Job:
    """One command, and the directory it runs in."""

    argv: tuple
    cwd: Path = Path("/")


class Tool:
    """A backup program with one repository, encrypted, with its default settings.

    `what` is the name of a data set, `turn` counts the backups of that data set from 1.
    """

    name = ""

    def __init__(self, program: str, repository: Path, private: Path):
        self.program = program
        self.repository = repository
        # Home, keys and caches: nothing of the user's is read or written.
        self.private = private

    def job(self, *arguments, cwd: Path = Path("/")) -> Job:
        return Job((self.program, *map(str, arguments)), cwd)

    def variables(self) -> dict:
        """What the program finds in its environment, besides PATH and HOME."""
        return {}

    def version(self) -> Job:
        return self.job("--version")

    def create(self) -> list:
        """Makes the repository; not measured."""
        raise NotImplementedError

    def backup(self, what: str, turn: int, source: Path) -> Job:
        raise NotImplementedError

    def restore(self, what: str, turn: int, source: Path, target: Path) -> Job:
        """Puts the content of `source`, as that turn saw it, directly into `target`, which exists and is empty."""
        raise NotImplementedError

    def list(self) -> Job:
        raise NotImplementedError

    def check(self) -> Optional[Job]:
        """Reads, decrypts and verifies all data; None where the program cannot."""
        raise NotImplementedError

    def environment(self) -> dict:
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.private),
            "LC_ALL": "C",
            **self.variables(),
        }


def known() -> list:
    return sorted(path.stem for path in TOOLS.glob("[a-z]*.py"))


def tool_class(name: str) -> type:
    if name not in known():
        raise SystemExit(f"there is no tool `{name}`; there are: {', '.join(known())}")
    return importlib.import_module(f"tools.{name}").TOOL


def find_program(name: str, folder: Optional[Path]) -> str:
    """The program of a tool: $NAME (RESTIC, BORG, STRONGROOM, ...), else from `folder`, else from PATH."""
    given = os.environ.get(name.upper())
    candidates = [given] if given else []
    if not given:
        if name == "strongroom":
            repository = TOOLS.parents[2]
            build = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
            candidates.append(str(repository / build / "release" / name))
        if folder:
            candidates.append(str(folder.resolve() / name))
        candidates.append(name)
    for candidate in candidates:
        found = shutil.which(candidate)
        if found:
            return os.path.abspath(found)
    raise SystemExit(f"{name}: found none of {', '.join(candidates)}; set ${name.upper()} or run `setup`")


def version_of(tool: Tool) -> str:
    """The first line of what the program says about its version."""
    job = tool.version()
    done = subprocess.run(
        job.argv, cwd=job.cwd, env=tool.environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{tool.name}: {' '.join(job.argv)} ended with {done.returncode}: {done.stdout.strip()}")
    return done.stdout.strip().splitlines()[0]
