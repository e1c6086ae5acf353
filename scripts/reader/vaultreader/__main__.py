"""The command line: list snapshots, list files, restore."""

import argparse
import getpass
import pathlib
import sys

from .damage import Damage
from .keys import key_file
from .restore import Restorer
from .vault import Dataset, Vault


def main():
    parser = argparse.ArgumentParser(prog="vaultreader", description=__doc__)
    parser.add_argument("--vault", required=True, help="directory of the vault")
    parser.add_argument("--dataset", help="name of the dataset; needed where there are several")
    parser.add_argument("--key-file", action="append", default=[], help="key file of a keyholder")
    parser.add_argument("--passphrase", action="store_true", help="ask for a passphrase")
    parser.add_argument("--without-index", action="store_true", help="read the directories of packs instead")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("snapshots", help="list snapshots")
    for name in ["ls", "restore"]:
        command = commands.add_parser(name)
        command.add_argument("snapshot", help="first digits of its hash, or `latest`")
    commands.choices["restore"].add_argument("target", help="directory to restore into")
    args = parser.parse_args()
    try:
        sys.exit(run(args))
    except Damage as damage:
        sys.exit(f"damage: {damage}")


def run(args):
    seeds = [key_file(pathlib.Path(path).read_bytes()) for path in args.key_file]
    passphrase = getpass.getpass().encode() if args.passphrase else None
    vault = Vault(args.vault)
    names = [record["name"] for record in vault.keyring["datasets"]]
    if args.dataset is None and len(names) != 1:
        sys.exit(f"which dataset? There are: {', '.join(names)}")
    dataset = Dataset(vault, args.dataset or names[0], seeds, passphrase)
    snapshots = dataset.snapshots()
    if args.command == "snapshots":
        for name, snapshot in snapshots:
            paths, tags = " ".join(snapshot["paths"]), ",".join(snapshot["tags"])
            print(f"{name[:16]}  {snapshot['time']}  {snapshot['host']}  {paths}  {tags}")
        return 0
    latest = args.snapshot == "latest"
    chosen = snapshots[-1:] if latest else [one for one in snapshots if one[0].startswith(args.snapshot)]
    if len(chosen) != 1:
        sys.exit(f"{len(chosen)} snapshots have that name")
    root = bytes.fromhex(chosen[0][1]["root"])
    if args.without_index:
        dataset.load_directories()
    else:
        dataset.load_index()
    if args.command == "ls":
        show(dataset, root, b"")
        return 0
    restorer = Restorer(dataset)
    restorer.restore(root, args.target)
    print(f"{restorer.restored} entries restored, {len(restorer.problems)} problems")
    for problem in restorer.problems:
        print(problem, file=sys.stderr)
    return 3 if restorer.problems else 0


def show(dataset, refs, path):
    for entry, points_to in dataset.entries(refs):
        here = path + b"/" + entry.name
        print(f"{entry.kind:17} {entry.mode:04o} {entry.size:12} {here.decode(errors='backslashreplace')}")
        if entry.kind == "directory":
            show(dataset, points_to, here)


if __name__ == "__main__":
    main()
