# The gateway's image: the Python of BASE, the gateway with its libraries in /opt/gateway, and nothing else.
#
#     docker build --tag gateway .
#
# BASE is any image with a Python from 3.11 on and the certificate authorities that upstreams are verified by. It needs
# no shell; where it has none, BUILD is an image with the same Python at the same path that has one, and ensurepip.
ARG BASE=python:3.11-slim
ARG BUILD=${BASE}

FROM ${BUILD} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/gateway
COPY deploy/requirements-build.txt deploy/requirements.txt ./
# Wheels only: nothing is compiled, so there is no compiler in any stage.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/build/bin/pip install --quiet --require-hashes --only-binary=:all: --requirement requirements-build.txt \
    && /opt/build/bin/pip --python /opt/gateway/bin/python install --quiet --no-compile \
        --require-hashes --only-binary=:all: --requirement requirements.txt
COPY pyproject.toml README.md ./
COPY gateway gateway
# All bytecode is made here, since nothing can be written later, and kept in one tree: also that of the standard
# library, which slim images come without, as far as the gateway imports it. Ours is never compared with the sources'
# times, which copying may change. zstandard comes twice; the half that other interpreters use is left out.
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
    && /opt/build/bin/pip --python /opt/gateway/bin/python install --quiet --no-compile --no-deps --no-index wheels/*.whl \
    && find /opt/gateway -type d -name tests -prune -exec rm -r {} + \
    && rm /opt/gateway/lib/python3*/site-packages/zstandard/_cffi.* \
    && export PYTHONPYCACHEPREFIX=/opt/gateway/bytecode \
    && /opt/gateway/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/gateway/lib \
    && /opt/gateway/bin/python -P -c 'import pkgutil, gateway; [__import__(module.name) \
        for module in pkgutil.walk_packages(gateway.__path__, "gateway.") if module.name != "gateway.__main__"]'

FROM ${BASE}
LABEL org.opencontainers.image.title="gateway" \
      org.opencontainers.image.description="A sidecar reverse proxy in front of an app and on its calls to AI providers" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPYCACHEPREFIX=/opt/gateway/bytecode \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /
USER 65532:65532
# Ingress, egress and metrics, where the config says nothing else; the admin listener is for inside only.
EXPOSE 8080 8081 9090
STOPSIGNAL SIGTERM
# Whoever runs it asks /livez and /readyz; a HEALTHCHECK of the image's own would start an interpreter each time.
ENTRYPOINT ["gateway"]
CMD ["run", "--config", "/etc/gateway/gateway.yaml"]
