#!/bin/sh
# The system packages that only tests need, named before they are installed.
# LibreOffice calculates our workbooks anew, poppler reads our PDFs, the console is driven in
# Chromium, faketime gives a gateway a wrong clock, SoftHSM2 is a token that keeps signing keys,
# mosquitto_pub publishes as a shell script of a device does.
set -eu
missing=
command -v soffice >/dev/null || missing="$missing libreoffice-calc-nogui"
command -v pdftotext >/dev/null || missing="$missing poppler-utils"
command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null ||
    missing="$missing chromium-headless-shell"
command -v faketime >/dev/null || missing="$missing faketime"
command -v softhsm2-util >/dev/null || missing="$missing softhsm2"
command -v mosquitto_pub >/dev/null || missing="$missing mosquitto-clients"
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
