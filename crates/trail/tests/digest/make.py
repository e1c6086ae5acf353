#!/usr/bin/env python3
"""Makes a bucket of CloudTrail with digests, as AWS's guide describes it, with a key of its own that is thrown away.

It shares no code with the crate: `python3 make.py OUT`. Needs `cryptography`. What it made lies in `made/`: a whole bucket, and odd ones whose
signatures are right.
"""
import base64, gzip, hashlib, json, pathlib, sys
from datetime import datetime, timedelta, timezone
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

OUT = pathlib.Path(sys.argv[1])
ACCOUNT, REGION, TRAIL, BUCKET = "111122223333", "eu-west-1", "backup-trail", "trail-bucket"
START = datetime(2026, 3, 1, 10, tzinfo=timezone.utc)
key = rsa.generate_private_key(65537, 2048)
der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
fingerprint = hashlib.md5(der).hexdigest()


def put(name, data):
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def iso(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def log(time, n, request):
    record = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/restore/host-a", "accountId": ACCOUNT},
        "eventTime": iso(time), "eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "awsRegion": REGION,
        "sourceIPAddress": "192.0.2.1", "userAgent": "strongroom/0.1.0",
        "requestParameters": {"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": {"strongroom:dataset": "db"}},
        "responseElements": None, "requestID": request, "eventID": f"00000000-0000-0000-0000-{n:012}", "readOnly": True,
        "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k1"}],
        "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": ACCOUNT, "eventCategory": "Management",
    }
    data = compact({"Records": [record]})
    name = (f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{time:%Y/%m/%d}/"
            f"{ACCOUNT}_CloudTrail_{REGION}_{time:%Y%m%dT%H%MZ}_{n:016}.json.gz")
    put(name, gzip.compress(data, mtime=0))
    return {"s3Bucket": BUCKET, "s3Object": name, "hashValue": hashlib.sha256(data).hexdigest(),
            "hashAlgorithm": "SHA-256", "newestEventTime": iso(time), "oldestEventTime": iso(time)}


def digest(start, end, logs, previous, metadata, suffix=""):
    name = (f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/{end:%Y/%m/%d}/"
            f"{ACCOUNT}_CloudTrail-Digest_{REGION}_{TRAIL}_{REGION}_{end:%Y%m%dT%H%M%SZ}{suffix}.json.gz")
    before, text, signature = previous or (None, None, None)
    document = {
        "awsAccountId": ACCOUNT, "digestStartTime": iso(start), "digestEndTime": iso(end),
        "digestS3Bucket": BUCKET, "digestS3Object": name, "digestPublicKeyFingerprint": fingerprint,
        "digestSignatureAlgorithm": "SHA256withRSA", "newestEventTime": None, "oldestEventTime": None,
        "previousDigestS3Bucket": BUCKET if previous else None, "previousDigestS3Object": before,
        "previousDigestHashValue": hashlib.sha256(text).hexdigest() if previous else None,
        "previousDigestHashAlgorithm": "SHA-256" if previous else None,
        "previousDigestSignature": signature, "logFiles": logs,
    }
    data = compact(document)
    signed = "\n".join([iso(end), f"{BUCKET}/{name}", hashlib.sha256(data).hexdigest(), signature or "null"])
    made = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()).hex()
    put(name, gzip.compress(data, mtime=0))
    if metadata:
        head = {"ContentLength": 1, "Metadata": {"signature": made, "signature-algorithm": "SHA256withRSA"}}
        put(name + ".metadata.json", json.dumps(head).encode())
    return name, data, made


def whole(odd=None):
    previous, n = None, 0
    for hour in range(5):
        start = START + timedelta(hours=hour)
        if odd == "gap" and hour == 2:
            continue
        if odd == "anew" and hour == 3:
            previous = None
        logs = []
        # The third hour is empty, as hours without events are.
        for minute in () if hour == 2 else (10, 40):
            n += 1
            logs.append(log(start + timedelta(minutes=minute), n, f"request-{n}"))
        before = previous
        # Whoever stops and starts a trail has digests that nobody follows: their signatures are in the metadata only.
        previous = digest(start, start + timedelta(hours=1), logs, previous, hour == 4 or odd == "anew")
        if odd == "fork" and hour == 3:
            digest(start, start + timedelta(minutes=59), [], before, True)
        if odd == "swapped" and hour == 3:
            # Another one in its place, signed, without its logs: the one that follows is chained to the first.
            digest(start, start + timedelta(hours=1), [], before, True)
    late = log(START + timedelta(hours=6, minutes=5), 99, "request-99")
    digest(START, START + timedelta(hours=7), [late], None, True, "_backfill")
    keys = {"PublicKeyList": [{"Value": base64.b64encode(der).decode(), "ValidityStartTime": "2026-02-01T00:00:00+00:00",
                               "ValidityEndTime": "2026-05-01T00:00:00+00:00", "Fingerprint": fingerprint}]}
    put("public-keys.json", json.dumps(keys, indent=2).encode())


BASE = OUT
for name in ("whole", "gap", "anew", "fork", "swapped"):
    OUT = BASE / name
    whole(name)
