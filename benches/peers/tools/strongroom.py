"""Strongroom: the release build of this repository, or $STRONGROOM."""

from harness.tool import Tool


class Strongroom(Tool):
    name = "strongroom"

    def variables(self):
        # The key files that `init` makes lie below the config directory, and are found there again.
        return {
            "XDG_CONFIG_HOME": str(self.private / "config"),
            "XDG_CACHE_HOME": str(self.private / "cache"),
        }

    def vault(self, *arguments):
        return self.job("-r", self.repository, *arguments)

    def create(self):
        return [self.vault("init")]

    def backup(self, what, turn, source):
        return self.vault("-q", "backup", source)

    def restore(self, what, turn, source, target):
        # The scenario restores right after a backup of the same data set: it is the latest of all.
        return self.vault("-q", "restore", f"latest:{source}", "--target", target)

    def list(self):
        return self.vault("snapshots")

    def check(self):
        return self.vault("-q", "check", "--read-data")


TOOL = Strongroom
