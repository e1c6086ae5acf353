"""bupstash, https://bupstash.io"""

from harness.tool import Tool


class Bupstash(Tool):
    name = "bupstash"

    def variables(self):
        return {
            "BUPSTASH_REPOSITORY": str(self.repository),
            "BUPSTASH_KEY": str(self.private / "bench.key"),
            "BUPSTASH_SEND_LOG": str(self.private / "sendlog"),
            "BUPSTASH_QUERY_CACHE": str(self.private / "query-cache"),
        }

    def version(self):
        return self.job("version")

    def create(self):
        return [self.job("init"), self.job("new-key", "-o", self.private / "bench.key")]

    def backup(self, what, turn, source):
        return self.job("put", "-q", f"name={what}-{turn}", source)

    def restore(self, what, turn, source, target):
        return self.job("restore", "-q", "--into", target, f"name={what}-{turn}")

    def list(self):
        return self.job("list", "-q")

    def check(self):
        return None


TOOL = Bupstash
