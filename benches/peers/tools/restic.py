"""restic, https://restic.net"""

from harness.tool import Tool


class Restic(Tool):
    name = "restic"

    def variables(self):
        return {
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_PASSWORD": "bench",
            "RESTIC_CACHE_DIR": str(self.private / "cache"),
        }

    def version(self):
        return self.job("version")

    def create(self):
        return [self.job("-q", "init")]

    def backup(self, what, turn, source):
        return self.job("-q", "backup", source)

    def restore(self, what, turn, source, target):
        # `latest` is over all paths: A and B share the repository.
        return self.job("-q", "restore", f"latest:{source}", "--path", source, "--target", target)

    def list(self):
        return self.job("snapshots")

    def check(self):
        return self.job("-q", "check", "--read-data")


TOOL = Restic
