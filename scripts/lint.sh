#!/usr/bin/env bash
# Runs golangci-lint at the version that this project is checked with.
#
#   scripts/lint.sh            check: format, vet, linters
#   scripts/lint.sh fmt        rewrite the files in their right format
#   scripts/lint.sh run ./cmd  what `golangci-lint` would do with these arguments
#
# The linter is built once, into bin/. The first time on a machine that takes
# two to nine minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

version=v2.15.0
linter=$PWD/bin/golangci-lint-$version

# go install checks what it fetches against the checksum database. It builds
# aside and moves, so that a build that was stopped leaves nothing half-made.
build_linter() {
  say "building golangci-lint $version (once)"
  local dir
  mkdir -p bin
  dir=$(mktemp -d bin/.build-XXXXXX)
  if ! GOFLAGS='' GOBIN="$PWD/$dir" go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"; then
    rm -rf "$dir"
    die "golangci-lint $version could not be built"
  fi
  mv "$dir/golangci-lint" "$linter"
  rmdir "$dir"
}

check_go
[ -x "$linter" ] || build_linter

[ $# -gt 0 ] || set -- run --allow-parallel-runners ./...
exec "$linter" "$@"
