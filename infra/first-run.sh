#!/usr/bin/env bash
# infra/first-run.sh compile|serve [OPTION...]: tries on real machines what nobody has measured, and packs
# what came of it. `infra/first-run.sh --help` lists the options. Needs .venv-inf1 with AWS's packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${FIRST_RUN_PYTHON:-$PWD/.venv-inf1/bin/python}
[ -x "$python" ] || { echo "no .venv-inf1 here: make setup-neuron ROLE=${1:-compile}" >&2; exit 1; }
exec "$python" main.py first-run "$@"
