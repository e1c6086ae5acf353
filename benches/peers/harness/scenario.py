"""The steps that every tool goes through, and the source trees that it backs up."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from harness.tool import Job, Tool

# In the order in which they run. Names are keys of the results: `report` knows them.
STEPS = (
    "backup-A", "unchanged-A", "restore-A", "change-A",
    "backup-B", "restore-B", "change-B",
    "list", "check",
)


@dataclass(frozen=True)
class Step:
    """A measured command; `verify` looks at what it did, and is not measured."""

    name: str
    job: Optional[Job]
    verify: Optional[Callable[[], bool]] = None


class Sources:
    """Copies of the data sets on the disk under test, at the same paths for every tool.

    A changes in place, file by file, as users change files. B changes by renaming: both images stay in the page
    cache, and no tool pays for writing 2 GiB that it did not write.
    """

    def __init__(self, data: Path, work: Path):
        if not (data / "MANIFEST").is_file():
            raise SystemExit(f"{data} holds no finished data sets: run `generate {data}` first")
        self.data = data
        self.root = work / "source"
        self.a, self.b = self.root / "A", self.root / "B"
        self._spare = self.root / "B.other.img"
        self._ready, self._changing = self.root / ".ready", self.root / ".changing"

    def prepare(self) -> None:
        """Makes the copies, again where an earlier run was cut off in the middle of a change."""
        manifest = (self.data / "MANIFEST").read_text()
        if self._ready.is_file() and self._ready.read_text() == manifest and not self._changing.exists():
            return
        shutil.rmtree(self.root, ignore_errors=True)
        self.b.mkdir(parents=True)
        shutil.copytree(self.data / "A", self.a, symlinks=True)
        shutil.copy2(self.data / "B" / "disk.img", self.b / "disk.img")
        shutil.copy2(self.data / "B.delta" / "disk.img", self._spare)
        self._ready.write_text(manifest)

    def warm(self) -> None:
        """Reads everything once, so that no tool reads from the disk for the others."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    with open(path, "rb", buffering=0) as file:
                        while file.read(1 << 20):
                            pass

    def _written(self) -> list:
        files = self.data / "A.delta" / "files"
        return sorted(path.relative_to(files) for path in files.rglob("*") if path.is_file())

    def _removed(self) -> list:
        listed = (self.data / "A.delta" / "removed").read_bytes().split(b"\0")
        return [Path(os.fsdecode(name)) for name in listed if name]

    @contextmanager
    def changed_a(self):
        self._changing.touch()
        for name in self._written():
            shutil.copyfile(self.data / "A.delta" / "files" / name, self.a / name)
        for name in self._removed():
            (self.a / name).unlink()
        yield
        for name in self._written() + self._removed():
            original = self.data / "A" / name
            if original.exists():
                shutil.copyfile(original, self.a / name)
                shutil.copystat(original, self.a / name)
            else:
                (self.a / name).unlink()
        self._changing.unlink()

    def _swap_b(self) -> None:
        image, aside = self.b / "disk.img", self.root / "B.aside.img"
        image.rename(aside)
        self._spare.rename(image)
        aside.rename(self._spare)

    @contextmanager
    def changed_b(self):
        self._changing.touch()
        self._swap_b()
        yield
        self._swap_b()
        self._changing.unlink()


def play(tool: Tool, sources: Sources, target: Path, compare_trees: bool = True):
    """Yields the steps one after the other, each with the disk in the state that it needs.

    A step must be done when the next one is asked for.
    """
    def same_tree() -> bool:
        return agree("diff", "-r", "--no-dereference", sources.a, target)

    def same_image() -> bool:
        return agree("cmp", sources.b / "disk.img", target / "disk.img")

    def emptied() -> Path:
        put_aside(target)
        target.mkdir(parents=True)
        return target

    yield Step("backup-A", tool.backup("A", 1, sources.a))
    yield Step("unchanged-A", tool.backup("A", 2, sources.a))
    yield Step("restore-A", tool.restore("A", 2, sources.a, emptied()), same_tree if compare_trees else None)
    emptied()
    with sources.changed_a():
        yield Step("change-A", tool.backup("A", 3, sources.a))
    yield Step("backup-B", tool.backup("B", 1, sources.b))
    yield Step("restore-B", tool.restore("B", 1, sources.b, emptied()), same_image)
    emptied()
    with sources.changed_b():
        yield Step("change-B", tool.backup("B", 2, sources.b))
    yield Step("list", tool.list())
    yield Step("check", tool.check())


def put_aside(target: Path) -> None:
    """Moves a restored tree out of the way, its files cut to nothing but not deleted.

    ext4 does not use the inode of a deleted file again for up to five minutes, and looks through all of them each
    time that a file is made: after `rm -r` of a large tree, the next tool would measure that search.
    """
    if not target.exists():
        return
    for folder, _, names in os.walk(target):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                os.chmod(path, 0o600)
                os.truncate(path, 0)
    aside = target.parent / "aside"
    aside.mkdir(exist_ok=True)
    target.rename(aside / str(len(os.listdir(aside))))


def agree(*command) -> bool:
    return subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
