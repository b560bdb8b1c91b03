# Compiles for Inf1: torch 1.13, torch-neuron and neuron-cc. Needs no chip; with --device=/dev/neuron0 it measures
# parity on one. Weights are fetched by the job. The root is read-only: mount volumes at /work and /tmp.
#   docker build -f infra/containers/compile.Dockerfile -t depth-compile .
# BASE is a tag. Whoever builds for production pins its digest: --build-arg BASE=python:3.9-slim-bookworm@sha256:...
ARG BASE=python:3.9-slim-bookworm
FROM ${BASE}
ARG NEURON_INDEX=https://pip.repos.neuron.amazonaws.com
# neuron-cc calls g++. Debian's stable release has one version of it.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml README.md LICENSE main.py /opt/depth/
COPY infra /opt/depth/infra
COPY depth_anything /opt/depth/depth_anything
COPY depth_anything_v2 /opt/depth/depth_anything_v2
COPY depth_anything_3 /opt/depth/depth_anything_3
COPY midas /opt/depth/midas
COPY depth /opt/depth/depth
COPY compile /opt/depth/compile
COPY serve /opt/depth/serve
COPY input_images/samples /opt/depth/input_images/samples
# The project's build asks for the bundled weights. They are not in the image: these files stay empty.
RUN mkdir -p /opt/depth/checkpoints/demo \
 && touch /opt/depth/checkpoints/demo/README.md /opt/depth/checkpoints/demo/demo.safetensors
# The lane as locked; then AWS's packages from AWS's index, by the script that sets up a compile host.
RUN UV_NO_CACHE=1 bash /opt/depth/infra/setup.sh inf1 \
 && rm -rf /opt/depth/checkpoints
RUN NEURON_INDEX="${NEURON_INDEX}" UV_NO_CACHE=1 bash /opt/depth/infra/neuron.sh compile
ENV PATH=/opt/depth/.venv-inf1/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    CODE=/opt/depth \
    PYTHONDONTWRITEBYTECODE=1
# Volumes take their owner from here.
RUN install -d -o 10001 -g 10001 /work
WORKDIR /work
USER 10001:10001
HEALTHCHECK NONE
ENTRYPOINT []
CMD ["python", "-m", "compile", "--help"]
