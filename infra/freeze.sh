#!/usr/bin/env bash
# infra/freeze.sh [FOLDER]: serving as a program that needs no Python, in FOLDER/depth-serve (default dist/).
# Takes an environment of its own, with the wheel of this checkout, OpenVINO and PyInstaller, and removes it.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. infra/tools.sh
find_uv
find_python39

out=${1:-dist}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$UV" build -q --wheel -o "$work" .
"$UV" venv -q -p "$PYTHON" "$work/env"
"$UV" pip install -q --python "$work/env/bin/python" "$(echo "$work"/*.whl)[serve-openvino]" 'pyinstaller>=6.16,<7'
cp infra/freeze.spec infra/freeze.py "$work"
"$work/env/bin/pyinstaller" --noconfirm --log-level ERROR --distpath "$out" --workpath "$work/build" "$work/freeze.spec"
say "$out/depth-serve: $(du -sm "$out/depth-serve" | cut -f 1) MB"
