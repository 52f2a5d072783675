#!/bin/sh
# The checklist of a release: `make release KEY=FILE`; ARGS=--checks ends after the first part.
#
# First what takes seconds, all of it, so that one run names everything that is missing: a clean
# tree, the version, its changes, its rule set.  Then what takes an hour: generated files, tests
# under two Pythons (an upgrade from every release among them), documentation, wheel, image,
# signatures.  Nothing is tagged or handed out: the last lines say how.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/${VENV:-.venv}/bin
missing=0

ok() { printf 'release: %s\n' "$*" >&2; }
lacks() {
    printf 'release: MISSING: %s\n' "$*" >&2
    missing=1
}

version=$("$bin/python" -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
rules=$("$bin/python" -c 'from mrv.registry.project import ACCOUNTING; print(ACCOUNTING)')
newest=$(sed -n 's/^## //p' CHANGELOG.md | head -n 1)

if [ -z "$(git status --porcelain)" ]; then ok "the tree is clean"; else lacks "a clean tree: commit or remove what 'git status' lists"; fi
if ! git rev-parse -q --verify "refs/tags/v$version" >/dev/null; then ok "version $version is not tagged yet"; else lacks "a version of its own: v$version is tagged; raise 'version' in pyproject.toml"; fi
if [ "${newest%% *}" = "$version" ]; then ok "CHANGELOG.md has the changes of $version"; else lacks "the changes of $version: CHANGELOG.md begins with ${newest:-nothing}"; fi
if grep -q "tonne:$version " deploy/Dockerfile; then ok "deploy/Dockerfile names $version"; else lacks "the version in deploy/Dockerfile: its examples build another one than $version"; fi
if grep -q "\"$rules\"" tests/closes/released.json; then ok "rule set $rules is pinned"; else lacks "the pinned rule set: run 'python -m tests.closes release $rules' and commit it"; fi
if [ -f "${KEY:-}" ]; then ok "$KEY signs"; else lacks "the key that signs: make release KEY=FILE (docs/install.md, Check a release)"; fi

if [ "$missing" -ne 0 ]; then exit 1; fi
if [ "${1:-}" = --checks ]; then exit 0; fi

make lock readmes pages schemas dashboards
git diff --exit-code --stat || {
    lacks "generated files as their sources have them: commit what 'git diff' lists"
    exit 1
}
if [ -n "${ADVISORIES:-}" ]; then make audit; else ok "advisories not compared: ADVISORIES names none"; fi
make test test-other docs
make dist

# as the one who gets it has it: the wheel, in an environment of its own, reads the release before
apart=$(mktemp -d)
trap 'rm -rf "$apart"' EXIT
sh deploy/sign.sh --check dist dist/release-signers
"$bin/uv" venv --quiet --python "$bin/python" "$apart"
"$bin/uv" pip install --quiet --python "$apart/bin/python" --require-hashes --no-build -r dist/requirements.lock
"$bin/uv" pip install --quiet --python "$apart/bin/python" --no-deps --no-index dist/*.whl
(
    cd "$apart"
    bin/tonne --version
    bin/tonne rules list >/dev/null
)
for pack in tests/samples/0.1.0/packs/*; do
    code=0
    "$apart/bin/tonne" verify "$pack" --keys tests/samples/0.1.0/trusted.json >"$apart/said" 2>&1 || code=$?
    case $code in 0 | 4) ;; *)
        cat "$apart/said" >&2
        lacks "a wheel that verifies ${pack##*/} of 0.1.0"
        exit 1
        ;;
    esac
done
ok "the wheel installs, and verifies the packs of 0.1.0"

for engine in docker podman; do
    if command -v $engine >/dev/null; then
        $engine build -f deploy/Dockerfile -t "tonne:$version" .
        $engine run --rm "tonne:$version" --version
        break
    fi
    engine=
done
if [ -z "$engine" ]; then ok "NOT DONE: the image; neither docker nor podman is here"; fi

ok "all that a machine can check holds.  What is left:"
ok "  git tag -s v$version -m 'tonne $version' && git push --tags"
ok "  hand out dist/, and dist/release-signers by a second way (docs/install.md)"
ok "  raise 'version' in pyproject.toml, and begin its section in CHANGELOG.md"
