#!/bin/sh
# The system packages that only tests need, named before they are installed.
# Tests find these programs and those of a bare Debian, and no others: tests/programs.py.
set -eu
missing=
while read -r programs package _; do
    for program in $(echo "$programs" | tr , ' '); do
        command -v "$program" >/dev/null || { missing="$missing $package" && break; }
    done
done <<'END'
soffice                       libreoffice-calc-nogui   calculates our workbooks anew
pdftotext,pdftoppm            poppler-utils            reads our PDFs
chromium-headless-shell       chromium-headless-shell  opens the console
faketime                      faketime                 gives a gateway a wrong clock
softhsm2-util                 softhsm2                 is a token that keeps signing keys
mosquitto_pub                 mosquitto-clients        publishes as a shell script of a device does
curl                          curl                     fetches certificates as a device does
openssl                       openssl                  makes and checks them, and signs by hand
ssh-agent,ssh-add,ssh-keygen  openssh-client           keeps the key of another's witness
END
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    # tests that need one of these say so and are left out; where CI runs they fail
    echo "tests: not installed:$missing; as root: apt-get install$missing" >&2
    exit 0
fi
echo "tests: installing system packages:$missing" >&2
apt-get -q update >&2 || true # an old list may still do
# shellcheck disable=SC2086 - a list of names
DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends $missing >&2
