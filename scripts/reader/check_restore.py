#!/usr/bin/env python3
"""Backs up a tree with Strongroom, restores it with this reader, and compares every byte and attribute.

The vault is made by `cargo run -p strongroom-testkit --example make_vault`. Exit code 1 where anything differs.
"""

import os
import pathlib
import random
import shutil
import stat
import subprocess
import sys
import tempfile

from vaultreader.keys import key_file
from vaultreader.restore import Restorer
from vaultreader.vault import Dataset, Vault

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def make_tree(root):
    """One of everything that a tree can hold."""
    chance = random.Random(7)
    write = lambda name, content: (root / name).write_bytes(content)
    write("empty", b"")
    write("one byte", b"x")
    write("text", b"the same line\n" * 5000)
    write("random", chance.randbytes(300_000))
    write("many chunks", chance.randbytes(3_000_000))
    write("read in extents", chance.randbytes(1 << 20) * 12)
    with open(root / "sparse", "wb") as file:
        file.seek(1 << 20)
        file.write(b"in the middle" * 1000)
        file.truncate(8 << 20)
    with open(root / "only a hole", "wb") as file:
        file.truncate(1 << 20)
    (root / "many").mkdir()
    for number in range(1500):
        write(f"many/{number:04}", f"file {number}".encode())
    deep = root
    for name in ["a", "directory", "in a", "directory"]:
        deep = deep / name
        deep.mkdir()
    (deep / "at the bottom").write_text("here")
    (root / "empty directory").mkdir()
    os.symlink("../no such file\n", root / "symbolic link")
    os.symlink(b"\xff\xfe", os.fsencode(root) + b"/no UTF-8 \xff")
    os.link(root / "text", root / "text again")
    os.link(root / "text", deep / "text once more")
    os.mkfifo(root / "named pipe")
    if os.geteuid() == 0:
        os.mknod(root / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.mknod(root / "socket", stat.S_IFSOCK | 0o600)
        os.chown(root / "one byte", 12345, 54321)
        os.link(root / "named pipe", root / "named pipe again")
    try:
        os.setxattr(root / "text", "user.comment", b"\0\1\2")
        os.setxattr(root / "a", "user.empty", b"")
    except OSError:
        print("no extended attributes here", file=sys.stderr)
    os.chmod(root / "one byte", 0o4751)
    os.chmod(root / "empty directory", 0o1770)
    os.chmod(root / "empty", 0)
    os.utime(root / "one byte", ns=(0, -1_234_567_890_123_456_789))
    os.utime(root / "empty directory", ns=(0, 1))


def describe(root):
    """Everything about each entry below `root`, by its path."""
    found, links = {}, {}
    root = os.fsencode(root)
    for folder, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(folder, name)
            about = os.lstat(path)
            one = {
                "mode": oct(about.st_mode),
                "owner": (about.st_uid, about.st_gid),
                "modified": about.st_mtime_ns,
                "attributes": sorted((key, os.getxattr(path, key, follow_symlinks=False))
                                     for key in os.listxattr(path, follow_symlinks=False)),
            }  # fmt: skip
            if stat.S_ISREG(about.st_mode):
                with open(path, "rb") as file:
                    one["content"] = file.read()
                one["sparse"] = about.st_blocks * 512 < about.st_size
            elif stat.S_ISLNK(about.st_mode):
                one["target"] = os.readlink(path)
            elif not stat.S_ISDIR(about.st_mode):
                one["device"] = about.st_rdev
            if not stat.S_ISDIR(about.st_mode) and about.st_nlink > 1:
                first = links.setdefault(about.st_ino, set())
                first.add(os.path.relpath(path, root))
                one["names"] = first
            found[os.path.relpath(path, root)] = one
    return found


def difference(expected, found):
    for path in sorted(expected.keys() | found.keys()):
        if path not in found or path not in expected:
            yield f"{path!r} is in one only"
            continue
        for what, value in expected[path].items():
            if found[path].get(what) != value:
                shown = "" if what == "content" else f": {value!r}, {found[path].get(what)!r}"
                yield f"{path!r}: {what} differs{shown}"


def back_up(vault, keys, source, **env):
    command = ["cargo", "run", "-q", "-p", "strongroom-testkit", "--example", "make_vault", "--", vault, keys, source]
    subprocess.run(command, cwd=REPOSITORY, check=True, env=os.environ | env)


def restore(vault, keys, which, target, without_index=False):
    dataset = Dataset(Vault(vault), "default", [key_file(keys.read_bytes())])
    dataset.load_directories() if without_index else dataset.load_index()
    restorer = Restorer(dataset)
    restorer.restore(bytes.fromhex(dataset.snapshots()[which][1]["root"]), str(target))
    return restorer.problems


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="strongroom-reader-"))
    vault, keys, source = folder / "vault", folder / "office.key", folder / "source"
    wrong = []
    try:
        source.mkdir()
        make_tree(source)
        first = describe(source)
        back_up(vault, keys, source)
        (source / "text").write_bytes(b"another line\n" * 6000)
        (source / "many" / "0700").unlink()
        (source / "new").write_bytes(b"new")
        second = describe(source)
        back_up(vault, keys, source, ROTATE="1")
        for name, which, expected, without_index in [
            ("first", 0, first, False),
            ("second", 1, second, False),
            ("second without the index", 1, second, True),
        ]:
            target = folder / name
            problems = restore(vault, keys, which, target, without_index)
            inside = pathlib.Path(str(target) + str(source))
            found = [*problems, *difference(expected, describe(inside))]
            print(f"{name}: {len(expected)} entries, {len(found)} differences")
            wrong += found
    finally:
        shutil.rmtree(folder)
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
