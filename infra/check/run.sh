#!/usr/bin/env bash
# infra/check/run.sh: containers, scripts, Kubernetes and Terraform are checked, with tools of its own in .tools/infra.
# What needs a program that this machine lacks is left out and named: terraform with TF_PLUGIN_DIR, and kubectl.
# TF_PLUGIN_DIR is a folder with the unpacked AWS provider, laid out as a filesystem mirror.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. infra/tools.sh

env=.tools/infra
wanted=$(sha256 <infra/locks/infra.txt)
if [ "$(cat "$env/.ready" 2>/dev/null)" != "$wanted" ] || ! is_python39 "$env/bin/python"; then
  find_uv
  find_python39
  "$UV" venv -q --clear -p "$PYTHON" "$env"
  "$UV" pip sync -q -p "$env" --require-hashes infra/locks/infra.txt ||
    die "the tools could not be installed; see above.
$NETWORK_HELP"
  printf '%s\n' "$wanted" >"$env/.ready"
fi
bin=$PWD/$env/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
left_out=0
skip() { say "left out: $1"; left_out=$((left_out + 1)); }

checkov() { # FRAMEWORK WHAT...: offline; a finding fails
  local framework=$1
  shift
  LOG_LEVEL=ERROR "$bin/checkov" --skip-download --config-file infra/check/checkov.yaml --framework "$framework" "$@"
}

say "== containers and scripts"
"$bin/hadolint" infra/containers/*.Dockerfile
"$bin/shellcheck" -x infra/*.sh infra/check/*.sh infra/containers/*.sh
checkov dockerfile -d infra/containers

say "== Kubernetes"
if kubectl version --client >/dev/null 2>&1; then
  for overlay in inf1 inf2 cpu; do
    kubectl kustomize "infra/kubernetes/overlays/$overlay" >"$work/$overlay.yaml"
    "$bin/kubernetes-validate" -k 1.31 --strict --quiet "$work/$overlay.yaml"
  done
  checkov kubernetes -d "$work"
else
  skip "the overlays of Kubernetes: no kubectl here"
fi

say "== Terraform"
checkov terraform -d infra/terraform
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1
unset TF_CLI_CONFIG_FILE
if ! terraform version >/dev/null 2>&1; then
  skip "Terraform's format: no terraform here"
else
  terraform fmt -check -recursive infra/terraform
fi
# Every refused input: a module's variables alone need no provider.
mkdir -p "$work/modules"
cp infra/terraform/*.json "$work"
for module in store compile_job service pipeline; do
  terraform version >/dev/null 2>&1 || continue
  mkdir -p "$work/modules/$module/tests"
  cp "infra/terraform/modules/$module/variables.tf" "$work/modules/$module"
  cp "infra/terraform/modules/$module/tests/refused.tftest.hcl" "$work/modules/$module/tests"
  terraform -chdir="$work/modules/$module" init -input=false >"$work/said" || { cat "$work/said" >&2; exit 1; }
  terraform -chdir="$work/modules/$module" test -no-color >"$work/said" || { cat "$work/said" >&2; exit 1; }
  say "$module: $(tail -n 1 "$work/said")"
done
if [ -z "${TF_PLUGIN_DIR:-}" ]; then
  skip "terraform validate, and plan and apply with mocks: TF_PLUGIN_DIR names no folder with the AWS provider"
else
  cp -r infra/terraform "$work/terraform"
  cp -r infra/pipeline "$work/pipeline"
  for module in "$work"/terraform/modules/*; do
    terraform -chdir="$module" init -input=false -backend=false -plugin-dir="$TF_PLUGIN_DIR" >"$work/said" ||
      { cat "$work/said" >&2; exit 1; }
    terraform -chdir="$module" validate
    ! [ -e "$module/tests/mocked.tftest.hcl" ] || terraform -chdir="$module" test -no-color -filter=tests/mocked.tftest.hcl
  done
fi

say "== tests"
CHECK_INFRA=1 "$bin/python" -m pytest -q -p no:cacheprovider -c infra/check/pytest.ini --rootdir . --confcutdir tests/infra tests/infra
echo "infra: checked in $SECONDS s; $left_out left out"
