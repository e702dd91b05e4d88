# One image for the server, the worker and the command line.
# Build: docker build -t legibly .    Run: docker run --rm -p 8000:8000 -v legibly:/data legibly
FROM python:3.12-slim AS build
WORKDIR /build
# A compiler for the kernels of the reader; it stays in this stage.
RUN apt-get update -q && apt-get install -y -q --no-install-recommends gcc libc6-dev
RUN python -m venv /opt/legibly
COPY locks/base.txt locks/base.txt
RUN /opt/legibly/bin/pip install --no-cache-dir --disable-pip-version-check -r locks/base.txt
COPY pyproject.toml README.md LICENSE hatch_build.py ./
COPY deploy deploy
COPY src src
RUN /opt/legibly/bin/pip install --no-cache-dir --disable-pip-version-check '.[aws,oidc,postgres]'

FROM python:3.12-slim
RUN useradd --system --create-home --home-dir /data --uid 10001 legibly
COPY --from=build /opt/legibly /opt/legibly
ENV PATH=/opt/legibly/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /data
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["python", "-c", \
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["legibly", "serve", "--host", "0.0.0.0", "--port", "8000"]
