# One recipe for five images: docker build --build-arg SERVICE=registration --tag entente/registration .
# What is inside: the locked packages, the chassis, the contracts, and this one service. No compiler, no test, no neighbour.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/run.txt /build/
RUN python -m venv /opt/entente \
 && /opt/entente/bin/pip install --no-compile --require-hashes --requirement /build/run.txt \
 && /opt/entente/bin/pip uninstall --yes pip setuptools

FROM packages AS code
ARG SERVICE
RUN test -n "${SERVICE}" || { echo "name the service: --build-arg SERVICE=registration" >&2; exit 1; }
COPY chassis /app/chassis
COPY contracts /app/contracts
COPY services/__init__.py /app/services/
COPY services/${SERVICE} /app/services/${SERVICE}
# Compiled once, here: a start without bytecode takes twice as long, and the root is not written to.
RUN rm -rf /app/chassis/testing \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/entente/lib /app \
 && mkdir --mode 0770 /data && chown 10001:10001 /data

FROM ${PYTHON}
ARG SERVICE
LABEL org.opencontainers.image.title="Entente ${SERVICE}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=code /opt/entente /opt/entente
COPY --from=code /app /app
COPY --from=code --chown=10001:10001 /data /data
ENV PATH=/opt/entente/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/app \
    SERVICE=${SERVICE} \
    ENTENTE_HOST=0.0.0.0 \
    ENTENTE_DATA=/data
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8080 9090
# `exec` makes the service the process that is told to stop.
ENTRYPOINT ["/bin/sh", "-c", "exec python -m services.$SERVICE \"$@\"", "entente"]
CMD ["serve"]
