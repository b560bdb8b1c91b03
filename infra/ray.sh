#!/usr/bin/env bash
# infra/ray.sh: makes .tools/ray, the CPU environment with Ray added. Ray is not locked, and not in .venv.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. infra/tools.sh

find_uv
venv=.tools/ray
[ -x "$venv/bin/python" ] || "$UV" venv -q -p .venv/bin/python "$venv"
site=lib/python3.9/site-packages
printf '%s\n' "$PWD/.venv/$site" >"$venv/$site/cpu-lane.pth"
"$UV" pip install -q -p "$venv" 'ray[data]>=2.51,<2.52' || die "Ray could not be installed; see above.
$NETWORK_HELP"
echo "ready: $venv"
