#!/bin/sh
# Sign the checksums of a release with an SSH key, or check them:
#
#   sign.sh dist KEY [IDENTITY]          SHA256SUMS.sig, and release-signers to be handed out
#   sign.sh --check dist SIGNERS [IDENTITY]
#
# KEY is a private key's file (Ed25519), or a public one whose private key ssh-agent or a token
# holds.  SIGNERS is the file release-signers that the reader got by another way.  Needs
# OpenSSH 8.1 or newer, which every system of today has; nothing is asked of a network.
set -eu
name=tonne-release
if [ "$1" = --check ]; then
    dist=$2 signers=$3 who=${4:-release@tonne}
    ssh-keygen -q -Y verify -f "$signers" -I "$who" -n "$name" -s "$dist/SHA256SUMS.sig" \
        <"$dist/SHA256SUMS" >/dev/null || {
        echo "sign: $dist/SHA256SUMS is not signed by $who of $signers" >&2
        exit 1
    }
    (cd "$dist" && sha256sum --quiet --strict -c SHA256SUMS)
    # a file that no checksum names was put there by somebody else
    for file in "$dist"/*; do
        file=${file##*/}
        case $file in SHA256SUMS | SHA256SUMS.sig | release-signers) continue ;; esac
        grep -q "  $file\$" "$dist/SHA256SUMS" || {
            echo "sign: $dist/$file is not among the checksums" >&2
            exit 1
        }
    done
    echo "signed by $who, and every file is as it was signed"
    exit 0
fi
dist=$1 key=$2 who=${3:-release@tonne}
rm -f "$dist/SHA256SUMS.sig"
ssh-keygen -q -Y sign -f "$key" -n "$name" "$dist/SHA256SUMS" >/dev/null 2>&1 || {
    echo "sign: $key does not sign: is it a key, and where it has a passphrase, is it in ssh-agent?" >&2
    exit 2
}
case $key in *.pub) public=$key ;; *) public=$key.pub ;; esac
printf '%s namespaces="%s" %s\n' "$who" "$name" "$(cut -d ' ' -f 1,2 "$public")" >"$dist/release-signers"
echo "sign: $dist/SHA256SUMS.sig by $(ssh-keygen -l -f "$public" | cut -d ' ' -f 2)" >&2
