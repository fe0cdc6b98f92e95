#!/usr/bin/env bash
# Puts axe-core, which looks for barriers on pages, into bin/, where the tests of
# pkg/heartlocktest/browser look for it. The second time it does nothing.
#
#   scripts/axe.sh
#
# The archive of the npm registry is checked against the digest below, which is
# the registry's own for this version; npm and node are not needed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

version=4.14.1
sha512=1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5
script=bin/axe-core-$version.min.js

[ ! -s "$script" ] || exit 0
missing=()
command -v curl >/dev/null || missing+=(curl ca-certificates)
need_packages "${missing[@]}"

say "fetching axe-core $version (once)"
mkdir -p bin
dir=$(mktemp -d bin/.axe-XXXXXX)
trap 'rm -rf "$dir"' EXIT
curl --fail --silent --show-error --location --retry 3 --max-time 120 --output "$dir/axe.tgz" \
  "https://registry.npmjs.org/axe-core/-/axe-core-$version.tgz" || die "axe-core $version could not be fetched from registry.npmjs.org"
echo "$sha512  $dir/axe.tgz" | sha512sum --check --quiet || die "axe-core $version is not what it should be"
tar -xzf "$dir/axe.tgz" -C "$dir" package/axe.min.js
# Moved when it is whole, so that one that was stopped leaves nothing half-made.
mv "$dir/package/axe.min.js" "$script"
