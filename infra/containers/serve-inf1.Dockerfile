# Serves Inf1 artifacts: torch 1.13 and torch-neuron, whose wheel has the Neuron runtime. No compiler, no driver
# (the host has it), no weights. Run with --device=/dev/neuron0, a task for each chip.
#   docker build -f infra/containers/serve-inf1.Dockerfile -t depth-serve-inf1 .
# BASE is a tag. Whoever builds for production pins its digest: --build-arg BASE=python:3.9-slim-bookworm@sha256:...
ARG BASE=python:3.9-slim-bookworm

FROM ${BASE} AS build
ARG NEURON_INDEX=https://pip.repos.neuron.amazonaws.com
# AWS's wheel has no hash that could be locked here. --build-arg TORCH_NEURON_SHA256=... demands one.
ARG TORCH_NEURON_SHA256=
COPY infra/locks/serve-inf1.txt /build/lock.txt
COPY infra/locks/uv.txt /build/uv.txt
RUN python -m venv /opt/depth/env \
 && /opt/depth/env/bin/python -m pip install -q --no-cache-dir --only-binary :all: --no-deps --require-hashes -r /build/lock.txt \
 && /opt/depth/env/bin/python -m pip uninstall -q --yes pip
# torch-neuron from AWS's index alone; of its dependencies, what that index has comes from there, and what is locked
# stays. The last line refuses a compiler.
RUN python -m venv /build/uv \
 && /build/uv/bin/python -m pip install --no-cache-dir --require-hashes -r /build/uv.txt \
 && grep -oE '^[a-z0-9-]+==[^ ]+' /build/lock.txt > /build/locked.txt \
 && printf 'torch-neuron==1.13.1.2.11.13.0%s\n' "${TORCH_NEURON_SHA256:+ --hash=sha256:${TORCH_NEURON_SHA256}}" > /build/neuron.txt \
 && /build/uv/bin/uv pip install --no-cache --no-config --python /opt/depth/env --no-deps --only-binary :all: \
      --default-index "${NEURON_INDEX}" -r /build/neuron.txt \
 && /build/uv/bin/uv pip install --no-cache --python /opt/depth/env --only-binary :all: --index-strategy first-index \
      --index "${NEURON_INDEX}" torch-neuron==1.13.1.2.11.13.0 -c /build/locked.txt \
 && ! /build/uv/bin/uv pip show --python /opt/depth/env neuron-cc
COPY depth /opt/depth/app/depth
COPY serve /opt/depth/app/serve
COPY infra/containers/start.sh /opt/depth/start.sh
RUN /opt/depth/env/bin/python -m compileall -q /opt/depth/app

FROM ${BASE}
COPY --from=build /opt/depth /opt/depth
# /var/lib/depth receives the artifact: mount a volume there, and one at /tmp. The root is read-only.
# A hung run ends after 30 s; AWS's pages disagree about the default.
ENV PATH=/opt/depth/env/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    NEURON_RT_EXEC_TIMEOUT=30 \
    NEURON_PROCESS_TAG=depth \
    DEPTH_FOLDER=/var/lib/depth
# Volumes take their owner from here.
RUN install -d -o 10001 -g 10001 /var/lib/depth /run/depth
WORKDIR /opt/depth/app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20m --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["/bin/sh", "/opt/depth/start.sh"]
