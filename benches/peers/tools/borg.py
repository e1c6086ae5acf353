"""borg 1.4, https://www.borgbackup.org"""

from harness.tool import Tool


class Borg(Tool):
    name = "borg"

    def variables(self):
        return {
            "BORG_REPO": str(self.repository),
            "BORG_PASSPHRASE": "bench",
            "BORG_BASE_DIR": str(self.private),
        }

    def create(self):
        return [self.job("init", "--encryption", "repokey-blake2")]

    def backup(self, what, turn, source):
        # Relative paths, because extract strips nothing by itself.
        return self.job("create", f"::{what}-{turn}", ".", cwd=source)

    def restore(self, what, turn, source, target):
        return self.job("extract", f"::{what}-{turn}", cwd=target)

    def list(self):
        return self.job("list")

    def check(self):
        return self.job("check", "--verify-data")


TOOL = Borg
