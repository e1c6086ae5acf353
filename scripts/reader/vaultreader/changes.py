"""Changes that wait, what cancels them, and certificates [V-14]."""

from .crypto import blake3
from .damage import Damage
from .keys import document, is_label, is_time, json_object, only_fields, signature_verifies, text, unbase64, unhex

TEXT = 4096


def opened(data, magic, signing_key):
    """The document of a frame that this key signed [V-14.1]."""
    signed, body, signature = json_object(data, magic, 64)
    if not signature_verifies(signing_key, signature, signed):
        raise Damage("signature")
    return document(body)


def check(condition, kind, what):
    if not condition:
        raise Damage(kind, what)


def change(data, signing_key):
    """[V-14.2]"""
    found = opened(data, b"SRCH", signing_key)
    only_fields(
        found,
        ["vault", "created", "not_before", "keyring", "requester", "reason", "what", "cancel", "cannot_cancel"],
    )
    check(unhex(found["vault"], 16) == blake3(signing_key)[:16], "foreign", "vault")
    check(is_time(found["created"]) and is_time(found["not_before"]), "field", "time")
    check(max(len(text(found[name]).encode()) for name in ["requester", "reason"]) <= TEXT, "limit", "text")
    for label, canceller in found["cancel"].items():
        only_fields(canceller, ["public_key", "seed"])
        check(is_label(label) and canceller["seed"]["policy"] == label, "field", "cancel")
    check(all(is_label(label) for label in found["cannot_cancel"]), "field", "cannot_cancel")
    return found


def cancellation(data, change_data, signing_key):
    """[V-14.3]"""
    of = change(change_data, signing_key)
    for label, canceller in of["cancel"].items():
        try:
            found = opened(data, b"SRCX", unbase64(canceller["public_key"]))
        except Damage as damage:
            if damage.word == "signature":
                continue
            raise
        only_fields(found, ["change", "holder", "time", "reason"])
        if unhex(found["change"], 32) != blake3(change_data) or found["holder"] != label:
            raise Damage("foreign")
        check(is_time(found["time"]), "field", "time")
        return found
    raise Damage("signature")


def certificate(data, vault):
    """[V-14.5]"""
    _, body, _ = json_object(data, b"SRCT", 64)
    signing_key = unbase64(document(body)["signing_key"])
    if blake3(signing_key)[:16] != vault:
        raise Damage("foreign")
    found = opened(data, b"SRCT", signing_key)
    only_fields(
        found,
        ["vault", "signing_key", "change", "what", "proposed", "done", "destroyed", "kept", "snapshots"],
    )
    check(is_time(found["proposed"]) and is_time(found["done"]), "field", "time")
    return found
