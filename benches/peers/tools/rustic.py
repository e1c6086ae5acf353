"""rustic, https://rustic.cli.rs"""

from harness.tool import Tool


class Rustic(Tool):
    name = "rustic"

    def variables(self):
        return {
            "RUSTIC_REPOSITORY": str(self.repository),
            "RUSTIC_PASSWORD": "bench",
            "RUSTIC_CACHE_DIR": str(self.private / "cache"),
            "RUSTIC_NO_PROGRESS": "true",
            "RUSTIC_LOG_LEVEL": "warn",
        }

    def create(self):
        return [self.job("init")]

    def backup(self, what, turn, source):
        # Without a label: rustic looks for the parent of a snapshot among those of the same label.
        return self.job("backup", source)

    def restore(self, what, turn, source, target):
        return self.job("restore", "--filter-paths", source, f"latest:{source}", target)

    def list(self):
        return self.job("snapshots")

    def check(self):
        return self.job("check", "--read-data")


TOOL = Rustic
