"""A reader of Strongroom vaults, written from docs/spec/vault.md alone.

It shares no code with Strongroom and never calls it. Clause numbers such as [V-4.2] refer to that document.
"""
