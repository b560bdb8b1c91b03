#!/usr/bin/env bash
# infra/lock.sh: writes infra/locks/ anew from pyproject.toml: for each package the newest release it allows.
# torch-cpu.txt alone is kept by hand: uv cannot reach that index from every machine.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. infra/tools.sh
find_uv
find_python39

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/new"
mkdir "$work/depth_anything"
cp depth_anything/__init__.py "$work/depth_anything" # which has the version
cp pyproject.toml README.md LICENSE "$work" # so that no uv.lock is left, or taken from, the checkout
# The lanes are for 3.9. Serving alone runs on later Pythons, with whatever versions they resolve.
sed -i.old 's/^requires-python = .*/requires-python = ">=3.9,<3.10"/' "$work/pyproject.toml"

export_lane() { # LANE, what only this lane has
  local lane=$1
  shift
  "$UV" export -q --directory "$work" --frozen --no-emit-project --no-annotate --no-header \
    --extra "$lane" "$@" --extra onnx --extra openvino --extra s3 --extra http --extra grpc --extra video --group test --group lint -o "new/$lane.txt"
}

compile() { # NAME, requirements on standard input: for what is not a dependency of the project
  "$UV" pip compile -q - -p "$PYTHON" --generate-hashes --no-emit-index-url --no-annotate --no-header \
    -o "$work/new/$1.txt"
}

"$UV" lock -q --directory "$work" -p "$PYTHON"
export_lane inf1
export_lane cpu --extra reference --group bench
awk -v rest="$work/rest" -v torch="$work/new/torch-default.txt" \
  '/^[^ ]/ { out = /^(torch|torchvision|nvidia-[a-z0-9-]+)==/ ? torch : rest } { print > out }' "$work/new/cpu.txt"
mv "$work/rest" "$work/new/cpu.txt"
# What int8 adds to the lane.
"$UV" export -q --directory "$work" --frozen --no-emit-project --no-annotate --no-header \
  --extra cpu --extra int8 -o int8.txt
cat "$work"/new/{cpu,torch-default}.txt >"$work/have"
awk 'NR == FNR { have[$1]; next } /^[^ ]/ { more = !($1 in have) } more' "$work/have" "$work/int8.txt" >"$work/new/int8.txt"
echo 'uv>=0.9,<1' | compile uv
# What AWS's packages for Inf1 need in other versions than the lane has.
printf 'numpy==1.22.2\nprotobuf==3.19.5\n' | compile neuron
{ sed -n 's/^requires = \["\(.*\)"\].*/\1/p' pyproject.toml | sed 's/", *"/\n/g'; echo editables; } | compile build

bash infra/lock-tools.sh "$UV" "$PYTHON" "$work/new"

cp infra/locks/torch-cpu.txt "$work/new"
if grep -nE '://|^-' "$work"/new/*.txt; then die "a lock names a host or has an option (above); nothing was changed"; fi
for name in torch torchvision; do
  version=$(sed -n "s/^$name==\([0-9.]*\).*/\1/p" "$work/new/torch-default.txt")
  grep -q "^$name==$version+cpu" "$work/new/torch-cpu.txt" ||
    die "$name $version is locked, infra/locks/torch-cpu.txt has another: edit that file (see infra/README.md)"
done
mv "$work"/new/*.txt infra/locks/
echo "infra/locks: $(cat infra/locks/*.txt | grep -c '==') pins"
