#!/bin/sh
# start.sh [OPTION...]: what the serving images start. Takes the artifact from a store, or from a mounted folder, and
# becomes `python -m serve http` with OPTION... behind its own.
# start.sh serve [OPTION...]: the same as SageMaker starts it, with every artifact of an endpoint's model.
#   DEPTH_STORE, DEPTH_REFERENCE  the store, and an alias or identity in it; pulled into DEPTH_FOLDER
#   DEPTH_ARTIFACT                an artifact's folder, in place of both
#   DEPTH_HOST                    the address to answer on; 0.0.0.0 by default, because a container has its own
#   DEPTH_TOKEN                   the token that requests must carry; see `python -m serve http --help`
#   DEPTH_MODELS                  with `serve`: the folder of the model, by default /opt/ml/model
#   SAGEMAKER_BIND_TO_PORT        with `serve`: the port that SageMaker asks, by default 8080
set -eu
if [ "${1:-}" = serve ]; then
  shift
  # No token: an endpoint's callers are checked by IAM, and nobody else reaches its container.
  exec python -m serve http "${DEPTH_MODELS:-/opt/ml/model}"/*/ --host "${DEPTH_HOST:-0.0.0.0}" \
    --port "${SAGEMAKER_BIND_TO_PORT:-8080}" --no-token "$@"
fi
if [ -n "${DEPTH_ARTIFACT:-}" ]; then
  artifact=$DEPTH_ARTIFACT
elif [ -n "${DEPTH_STORE:-}" ] && [ -n "${DEPTH_REFERENCE:-}" ]; then
  artifact=$(python -m serve pull "$DEPTH_REFERENCE" --store "$DEPTH_STORE" --out "${DEPTH_FOLDER:-/var/lib/depth}")
else
  echo "start.sh: no artifact is named: set DEPTH_STORE and DEPTH_REFERENCE, or DEPTH_ARTIFACT" >&2
  exit 2
fi
exec python -m serve http "$artifact" --host "${DEPTH_HOST:-0.0.0.0}" --port 8000 "$@"
