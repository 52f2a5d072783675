#!/bin/sh
# Prepare .venv from the locks, and the system packages of the local servers.  Starts nothing.
#
#   sh deploy/setup.sh                  # tonne with all its extras
#   sh deploy/setup.sh api report       # tonne with these extras alone
#   sh deploy/setup.sh dev              # and what tests and linters need
#   PYTHON=python3.13 sh deploy/setup.sh dev
#
# PYTHON chooses the interpreter, VENV another folder than .venv.  Run again, it only looks: it
# installs what is wanted more, or what the locks say since; an environment that was interrupted,
# or whose interpreter is another or gone, is made anew.
set -eu
cd "$(dirname "$0")/.."

venv=${VENV:-.venv}
here=$venv/bin/python
stamp=$venv/.prepared
made=$venv/.made
NEEDS="Python 3.11 or newer with the modules venv, ensurepip, sqlite3, ssl and zlib"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 2
}

# --- which interpreter, and why ---

# Prints "3.11.7 /path/of/the/real/python", or what it lacks; syntax of any Python since 2.7
PROBE='
import os, sys
here = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
version = ".".join(str(part) for part in sys.version_info[:3])
if sys.version_info < (3, 11):
    sys.exit("is Python " + version)
lacks = []
for name in ("venv", "ensurepip", "sqlite3", "ssl", "zlib"):
    try:
        __import__(name)
    except ImportError:
        lacks.append(name)
if lacks:
    sys.exit("(Python " + version + ") lacks " + ", ".join(lacks))
print(version + " " + here)
'

probe() { # the answer in $found; what is wrong in $wrong
    wrong="cannot be run"
    # a shim of a version that is not installed is found, too, and says "command not found"
    if found=$("$1" -c "$PROBE" 2>/dev/null); then return 0; fi
    told=$("$1" -c "$PROBE" 2>&1 >/dev/null | tail -n 1) || true
    case $told in "is Python"* | "(Python"*) wrong=$told ;; esac
    return 1
}

search() { # the first of PATH that will do
    refused=
    for name in python3 python3.13 python3.12 python3.11 python /usr/bin/python3; do
        command -v "$name" >/dev/null 2>&1 || continue
        if probe "$name"; then
            why="found as $name"
            return 0
        fi
        refused="$refused; $name $wrong"
    done
    return 1
}

choose() {
    if [ -n "${PYTHON:-}" ]; then
        probe "$PYTHON" || fail "PYTHON=$PYTHON $wrong; $NEEDS is needed"
        why="chosen by PYTHON=$PYTHON"
    elif [ -x "$here" ] && probe "$here"; then
        why="of the environment that is there; PYTHON=... chooses another"
    elif ! search; then
        if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
            fail "$NEEDS is needed; on Debian, as root: apt-get install python3-venv$refused"
        fi
        say "installing system packages: python3-venv"
        apt-get -q update >&2 || true # an old list may still do
        DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends \
            python3-venv >&2 || fail "apt-get could not install python3-venv; see above"
        search || fail "$NEEDS is needed$refused"
    fi
    version=${found%% *}
    python=${found#* }
}

# --- is there anything to do? ---

has() { # is $2 among the words of $1?  `all` stands for every extra
    case " $1 " in
    *" $2 "*) true ;;
    *" all "*) [ "$2" != dev ] ;;
    *) false ;;
    esac
}

prepared() { # is all that is wanted there, by these locks and this interpreter?
    [ -x "$venv/bin/tonne" ] && [ -f "$stamp" ] || return 1
    { read -r told_source && read -r told_words; } <"$stamp" || return 1
    [ "$told_source" = "$source" ] || return 1
    for word in $words; do has "$told_words" "$word" || return 1; done
}

# --- before anything is downloaded ---

megabytes_free() { df -Pk "$1" | awk 'NR == 2 { print int($4 / 1024) }'; }

check_folders() {
    [ -w . ] || fail "$PWD cannot be written by $(id -un); copy it to a folder of your own"
    if [ -e "$venv" ] && [ ! -w "$venv" ]; then
        fail "$venv belongs to somebody else; remove it, or set VENV to a folder of your own"
    fi
    free=$(megabytes_free .)
    if [ ! -e "$stamp" ] && [ "$free" -lt "$size" ]; then
        fail "$size MB are needed in $PWD, $free MB are free; make room, then run this again"
    fi
    # without a home that can be written, downloads are kept nowhere
    kept=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}
    if [ -z "${UV_CACHE_DIR:-}" ] && ! { mkdir -p "$kept/uv" && [ -w "$kept/uv" ]; } 2>/dev/null; then
        say "$kept cannot be written: downloads are not kept for another time"
        export UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1
    fi
}

# --- installing ---

explain() { # one line for what stopped an installation: what and why, and the remedy
    case $1 in
    *"o space left"* | *"os error 28"* | *"Disk quota"*)
        why="the disk is full: $(megabytes_free .) MB free in $PWD, $(megabytes_free "$kept" ||
            echo 0) MB in $kept; make room" ;;
    *"Hash mismatch"* | *"DO NOT MATCH THE HASHES"*)
        why="a package is not the one that was locked; is there a mirror between?" ;;
    *[Pp]roxy* | *[Tt]unnel*)
        why="the proxy refuses (${HTTPS_PROXY:-${https_proxy:-${ALL_PROXY:-see pip config list}}});\
 set HTTPS_PROXY to one that lets package downloads through, or unset it" ;;
    *"onnection refused"* | *"name resolution"* | *"Name or service"* | *"dns error"* | *unreachable* | \
        *"timed out"* | *"error sending request"* | *"client error (Connect)"* | *"NewConnectionError"* | \
        *"Retrying"* | *"from versions: none"*)
        why="the package index cannot be reached; check the network, or set HTTPS_PROXY or\
 PIP_INDEX_URL to what leads to it" ;;
    *"ermission denied"* | *"ead-only file system"*)
        why="no permission to write: $(printf '%s' "$1" | grep -i -m 1 -E 'permission|read-only')" ;;
    *)
        why="it said: $(printf '%s' "$1" | grep -v '^ *$' | tail -n 4)" ;;
    esac
    fail "$2 failed: $why; then run this again"
}

attempt() { # WHAT COMMAND...; a person who watches sees the command's own progress
    what=$1
    shift
    if [ -t 2 ] && "$@"; then return 0; fi
    told=$("$@" 2>&1) || explain "$told" "$what"
}

pip_setting() { # what pip was told of the index holds for uv, too, which does not read it
    printf '%s\n' "$settings" | sed -n "s/^[^=]*\.$1='\(.*\)'\$/\1/p" | tail -n 1
}

follow_pip() {
    settings=$("$here" -m pip config list 2>/dev/null) || settings=
    index=$(pip_setting index-url)
    more=$(pip_setting extra-index-url)
    certificates=$(pip_setting cert)
    proxy=$(pip_setting proxy)
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    [ -z "$more" ] || export UV_INDEX="${UV_INDEX:-$more}"
    [ -z "$certificates" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificates}"
    [ -z "$proxy" ] || export ALL_PROXY="${ALL_PROXY:-$proxy}"
}

make_environment() {
    # one that waits for its installer is as good as new
    if [ "$(cat "$made" 2>/dev/null)" != "$python $version" ]; then
        [ ! -e "$venv" ] || say "$venv is unfinished or of another interpreter: making it anew"
        rm -rf "$venv"
        attempt "making $venv" "$python" -m venv "$venv"
        echo "$python $version" >"$made"
    fi
    say "fetching the installer: $(grep -o '^uv==[0-9.]*' requirements-setup.lock | tr -s = ' ')"
    attempt "fetching the installer" "$here" -m pip install --quiet --disable-pip-version-check \
        --retries "${PIP_RETRIES:-3}" --require-hashes --only-binary :all: -r requirements-setup.lock
    rm -f "$made"
}

install_packages() {
    say "installing tonne with: $words; up to $download MB to download"
    if has "$words" dev; then
        set -- -r requirements-dev.lock
    elif has "$words" all; then
        set -- -r requirements.lock
    else # the lock restrains what the extras ask for
        set -- -c requirements.lock -r pyproject.toml
        for word in $words; do set -- "$@" --extra "$word"; done
    fi
    attempt "installing packages" "$venv/bin/uv" pip install --python "$here" \
        --require-hashes --no-build "$@"
    attempt "installing tonne" "$venv/bin/uv" pip install --quiet --python "$here" \
        --no-deps --no-build-isolation --editable .
}

# ---

words=${*:-all}
choose
source=$(cat requirements*.lock pyproject.toml deploy/setup.sh | sha256sum | cut -d ' ' -f 1)
source="$source $python $version"

if ! prepared; then
    case $words in # megabytes to download and on disk, on Linux; tests/deploy/test_setup.py looks
    *dev*) download=400 size=1600 ;;
    *all*) download=230 size=800 ;;
    *) download=120 size=500 ;;
    esac
    say "Python $version ($python), $why"
    check_folders
    begun=$(date +%s)
    told_source=
    told_words=
    if [ -f "$stamp" ]; then { read -r told_source && read -r told_words; } <"$stamp" || true; fi
    rm -f "$stamp"
    # what is there is kept while its interpreter is the same and it was finished
    if [ "${told_source#* }" = "$python $version" ] && "$venv/bin/uv" --version >/dev/null 2>&1; then
        for word in $told_words; do has "$words" "$word" || words="$words $word"; done
    else
        make_environment
    fi
    follow_pip
    install_packages
    printf '%s\n%s\n' "$source" "$words" >"$stamp"
    count=$(find "$venv"/lib -maxdepth 3 -name '*.dist-info' | wc -l)
    say "ready: $count packages, $(du -sm "$venv" | cut -f 1) MB in $venv, $(($(date +%s) - begun)) s"
fi

exec "$venv/bin/tonne" local install
