"""What the figures were measured on."""

import os
import platform
import re
import subprocess
from pathlib import Path


def facts(place: Path) -> dict:
    """The machine, and the file system that `place` lies on."""
    mount, kind = file_system(place)
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu_model(),
        "memory_gib": round(int(memory.group(1)) / 2**20) if memory else None,
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": kind,
        "mount_options": mount,
        "virtual": "hypervisor" in cpu_flags(),
    }


def cpu_info(key: str) -> str:
    found = re.search(rf"^{key}\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1).strip() if found else ""


def cpu_model() -> str:
    """The name that the processor gives itself, with family and model, because virtual machines shorten it."""
    family, model = cpu_info("cpu family"), cpu_info("model")
    name = cpu_info("model name") or platform.machine()
    return f"{name} (family {family}, model {model})" if family and model else name


def cpu_flags() -> list:
    return cpu_info("flags").split()


def file_system(place: Path) -> tuple:
    """Mount options and type of the file system of a path."""
    best, found = "", ("", "unknown")
    resolved = str(place.resolve())
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _device, mount, kind, options = line.split()[:4]
        inside = resolved == mount or resolved.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, found = mount, (options, kind)
    return found


def revision(repository: Path) -> str:
    """The commit of a working copy, marked where files differ from it."""
    def git(*arguments) -> str:
        done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=12", "HEAD")
    return commit + ("+changes" if commit and git("status", "--porcelain", "--untracked-files=no") else "")
