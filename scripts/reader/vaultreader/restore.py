"""Restoring [V-6.5], [V-6.6], [V-6.8]: always below directories that this program has opened itself."""

import os
import stat

from . import limits
from .damage import Damage

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
SPECIAL = {
    "named pipe": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "character device": stat.S_IFCHR,
    "block device": stat.S_IFBLK,
}


class Restorer:
    """Restores trees of one dataset. What could not be applied is collected in `problems`."""

    def __init__(self, dataset):
        self.dataset = dataset
        self.problems = []
        self.linked = {}
        self.restored = 0

    def restore(self, root, target):
        os.makedirs(target, exist_ok=True)
        folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.directory(root, folder, target.encode(), 0)
        finally:
            os.close(folder)

    def directory(self, refs, folder, path, depth):
        if depth > limits.DEPTH:
            raise Damage("limit", "depth of directories")
        for entry, points_to in self.dataset.entries(refs):
            here = path + b"/" + entry.name
            try:
                self.entry(entry, points_to, folder, here, depth)
                self.restored += 1
            except (Damage, OSError) as error:
                self.problem(here, error)

    def entry(self, entry, points_to, folder, path, depth):
        if entry.kind == "directory":
            try:
                os.mkdir(entry.name, 0o700, dir_fd=folder)
            except FileExistsError:
                pass
            below = os.open(entry.name, DIRECTORY, dir_fd=folder)
            try:
                self.directory(points_to, below, path, depth + 1)
                self.attributes(entry, below, folder, path)
            finally:
                os.close(below)
            return
        # The folder of a first name may be closed by then, so that first names are kept by path. Nothing
        # below the target is a link that this program has followed.
        identity = entry.hard_link and (entry.hard_link, entry.kind)
        if identity in self.linked:
            os.link(self.linked[identity], entry.name, dst_dir_fd=folder, follow_symlinks=False)
            return
        if entry.kind == "file":
            self.file(entry, points_to, folder, path)
        elif entry.kind == "symbolic link":
            os.symlink(entry.target, entry.name, dir_fd=folder)
            self.attributes(entry, None, folder, path)
        else:
            device = os.makedev(entry.major, entry.minor)
            os.mknod(entry.name, SPECIAL[entry.kind] | 0o600, device, dir_fd=folder)
            self.attributes(entry, None, folder, path)
        if identity:
            self.linked[identity] = path

    def file(self, entry, chunks, folder, path):
        ranges = [(0, entry.size)] if entry.data_ranges is None else entry.data_ranges
        file = os.open(entry.name, NEW_FILE, 0o600, dir_fd=folder)
        try:
            os.ftruncate(file, entry.size)
            places = iter(ranges)
            offset, left = 0, 0
            for chunk in chunks:
                content = memoryview(self.dataset.chunk(1, chunk))
                while content:
                    while left == 0:
                        place = next(places, None)
                        if place is None:
                            raise Damage("field", "chunks are longer than the file")
                        offset, left = place
                    written = os.pwrite(file, content[:left], offset)
                    content, offset, left = content[written:], offset + written, left - written
            if left or any(length for _, length in places):
                raise Damage("field", "chunks are shorter than the file")
            self.attributes(entry, file, folder, path)
        finally:
            os.close(file)

    def attributes(self, entry, opened, folder, path):
        """Owner, attributes, mode, time: in this order, because each may undo one that stands after it."""
        is_link = entry.kind == "symbolic link"
        try:
            os.chown(entry.name, entry.owner, entry.group, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if os.geteuid() == 0:
                self.problem(path, error)
        for name, value in entry.attributes:
            try:
                if opened is not None:
                    os.setxattr(opened, name, value)
                else:
                    os.setxattr(path, name, value, follow_symlinks=False)
            except OSError as error:
                self.problem(path + b" (" + name + b")", error)
        if not is_link:
            if opened is not None:
                os.fchmod(opened, entry.mode)
            else:
                os.chmod(entry.name, entry.mode, dir_fd=folder)
        time = entry.seconds * 10**9 + entry.nanoseconds
        try:
            os.utime(entry.name, ns=(time, time), dir_fd=folder, follow_symlinks=False)
        except (OSError, OverflowError) as error:
            self.problem(path, error)

    def problem(self, path, error):
        self.problems.append(f"{os.fsdecode(path)}: {error}")
