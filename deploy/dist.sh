#!/bin/sh
# Build what is handed out, into dist/: `make dist`.
#
#   tonne-V.tar.gz, tonne-V-py3-none-any.whl   dashboards, rules, catalog and lock in both
#   requirements.lock                          versions that it was tried with, with hashes
#   tonne-V.cdx.json                           CycloneDX: what tonne with all its extras holds
#   SHA256SUMS
#   SHA256SUMS.sig, release-signers            with KEY=FILE: an SSH key signs the checksums
#
# The same commit gives the same bytes, but for a signature.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/${VENV:-.venv}/bin

say() { printf 'dist: %s\n' "$*" >&2; }

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 1767225600)
export SOURCE_DATE_EPOCH
rm -rf dist
"$bin/hatchling" build -d dist >/dev/null 2>&1 || "$bin/hatchling" build -d dist
wheel=$(ls dist/*.whl)
name=${wheel%-py3-none-any.whl}
cp requirements.lock dist/

# the wheel is installed as an operator would, and what is there then is listed
apart=$(mktemp -d)
trap 'rm -rf "$apart"' EXIT
say "installing $wheel with all extras, to list what it holds"
"$bin/uv" venv --quiet --python "$bin/python" "$apart"
"$bin/uv" pip install --quiet --python "$apart/bin/python" --require-hashes --no-build \
    -r requirements.lock
"$bin/uv" pip install --quiet --python "$apart/bin/python" --no-deps --no-index "$wheel"
"$bin/cyclonedx-py" environment --pyproject pyproject.toml --mc-type application \
    --output-reproducible --of JSON -o "$name.cdx.json" "$apart/bin/python"

(cd dist && sha256sum -- * >SHA256SUMS)
if [ -n "${KEY:-}" ]; then
    sh deploy/sign.sh dist "$KEY"
else
    say "not signed: KEY=FILE names the SSH key of whoever releases"
fi
say "$(du -sm dist | cut -f 1) MB:"
cat dist/SHA256SUMS
