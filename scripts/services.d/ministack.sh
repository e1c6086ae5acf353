# MiniStack: AWS in memory, with an evaluator of IAM and key policies. Its KMS ciphertexts are not authenticated.
# shellcheck shell=bash disable=SC2154

ministack_requirements=("ministack==1.5.33" "cryptography==46.0.3")
ministack_port=18566
# It pins versions of botocore that others do not want.
ministack_venv="$services_root/venv-ministack"

ministack_install() {
  local requirement
  for requirement in "${ministack_requirements[@]}"; do
    services_venv="$ministack_venv" venv_install "$requirement"
  done
}

ministack_start() {
  require_ports ministack "$ministack_port"
  local data="$services_root/ministack"
  # Identities are made anew with each start.
  rm -rf "$data"
  mkdir -p "$data/tmp" "$data/s3" "$data/state"
  spawn ministack env BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 GATEWAY_PORT="$ministack_port" \
    MINISTACK_ACCOUNT_ID=123456789012 AUTH=true CLOUDTRAIL_RECORDING=1 IOT_MTLS_ENABLED=0 SFTP_ENABLED=0 \
    TMPDIR="$data/tmp" S3_DATA_DIR="$data/s3" STATE_DIR="$data/state" "$ministack_venv/bin/ministack"
}

ministack_healthy() {
  python3 - "$ministack_port" <<'PY' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/_localstack/health", timeout=2)
PY
}

ministack_prepare() {
  local identities="$services_root/ministack.env"
  "$ministack_venv/bin/python" "$here/services.d/aws_identities.py" "http://127.0.0.1:$ministack_port" test test \
    STRONGROOM_TEST_MINISTACK >"$identities.new"
  mv "$identities.new" "$identities"
}

ministack_stop() { terminate ministack; }

ministack_env() {
  cat <<ENV
export STRONGROOM_TEST_MINISTACK_ENDPOINT=http://127.0.0.1:$ministack_port
export STRONGROOM_TEST_MINISTACK_ADMIN=test:test
ENV
  [[ ! -r "$services_root/ministack.env" ]] || cat "$services_root/ministack.env"
}
