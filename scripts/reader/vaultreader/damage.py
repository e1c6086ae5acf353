"""What can be wrong with an object [V-1.11]."""


class Damage(Exception):
    """An object that must be refused. `word` is one of the table in [V-1.11]."""

    def __init__(self, word, what=""):
        super().__init__(f"{word}: {what}" if what else word)
        self.word = word
