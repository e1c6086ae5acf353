"""Runs one command and measures it."""

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from harness.tool import Job

GNU_TIME = "/usr/bin/time"
STEP_LIMIT_S = 3600


@dataclass(frozen=True)
class Cost:
    """What a command took. `other_cpu_s` is CPU time of everything else on the machine meanwhile."""

    wall_s: float
    user_s: float
    sys_s: float
    rss_mib: float
    other_cpu_s: float
    status: str


def busy_seconds() -> float:
    """CPU seconds that the machine has worked since it started, time stolen by its host included."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def measure(job: Job, environment: dict, log: Path, limit_s: int = STEP_LIMIT_S) -> Cost:
    """Runs a command to its end; its output goes to `log`.

    The processor time and the largest resident size come from GNU time, which is small: a child of this process
    would begin its life with the resident size of a Python interpreter, and the kernel remembers that.
    """
    if not os.access(GNU_TIME, os.X_OK):
        raise SystemExit(f"needs {GNU_TIME} (Debian: apt-get install time)")
    figures = log.with_suffix(".time")
    figures.unlink(missing_ok=True)
    os.sync()
    with open(log, "wb") as output:
        busy, start = busy_seconds(), time.monotonic()
        child = subprocess.Popen(
            [GNU_TIME, "--quiet", "--format=%U %S %M", f"--output={figures}", *job.argv],
            cwd=job.cwd, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stopped = threading.Event()
        limit = threading.Timer(limit_s, lambda: (stopped.set(), os.killpg(child.pid, signal.SIGKILL)))
        limit.start()
        try:
            # With a timeout of its own, wait() would look only every 50 ms.
            code = child.wait()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        finally:
            limit.cancel()
        wall, busy = time.monotonic() - start, busy_seconds() - busy
    status = "ok" if code == 0 else f"stopped after {limit_s} s" if stopped.is_set() else f"exit {code}"
    user, system, rss_kib = read_figures(figures)
    return Cost(wall, user, system, rss_kib / 1024, max(0.0, busy - user - system), status)


def read_figures(path: Path) -> tuple:
    """What GNU time wrote; zeros where it was stopped before."""
    try:
        user, system, rss = path.read_text().split("\n")[-2].split()
        return float(user), float(system), int(rss)
    except (OSError, IndexError, ValueError):
        return 0.0, 0.0, 0


def tree_bytes(root: Path) -> int:
    """Sum of the lengths of all files below a directory."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            total += os.lstat(os.path.join(folder, name)).st_size
    return total
