"""Makes a bucket: s3_bucket.py ENDPOINT KEY_ID:SECRET BUCKET PRINCIPAL [--locked]. Standard library only.

A policy forbids the principal (an ARN) to delete. With --locked the bucket has versions, Object Lock, and
a default retention of one day.
"""

import hashlib
import hmac
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

RETENTION = (
    b'<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
    b"<Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
)


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def put(endpoint, identity, bucket, query="", body=b"", headers=None):
    """One PUT with an AWS Signature Version 4."""
    key_id, secret = identity.split(":", 1)
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    digest = hashlib.sha256(body).hexdigest()
    headers = dict(headers or {})
    headers |= {"host": urllib.parse.urlsplit(endpoint).netloc, "x-amz-date": now, "x-amz-content-sha256": digest}
    names = sorted(headers)
    canonical = "\n".join(
        ["PUT", f"/{bucket}", f"{query}=" if query else ""]
        + [f"{name}:{headers[name]}" for name in names]
        + ["", ";".join(names), digest]
    )
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = mac(key, part)
    signature = mac(key, to_sign).hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key_id}/{scope},SignedHeaders={';'.join(names)},Signature={signature}"
    )
    url = f"{endpoint}/{bucket}" + (f"?{query}" if query else "")
    urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers, method="PUT"), timeout=10)


def main():
    endpoint, identity, bucket, principal, *flags = sys.argv[1:]
    locked = "--locked" in flags
    try:
        put(endpoint, identity, bucket, headers={"x-amz-bucket-object-lock-enabled": "true"} if locked else None)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        if "BucketAlready" not in text:
            sys.exit(f"{bucket}: {error}: {text}")
    if locked:
        put(endpoint, identity, bucket, "object-lock", RETENTION)
    deny = {
        "Effect": "Deny",
        "Principal": {"AWS": [principal]},
        "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    put(endpoint, identity, bucket, "policy", json.dumps({"Version": "2012-10-17", "Statement": [deny]}).encode())


main()
