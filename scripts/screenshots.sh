#!/usr/bin/env bash
# Makes pictures of every page, as a laptop and a phone show them, light and dark,
# on a server that is empty, one that a team uses, and one that is full.
#
#   scripts/screenshots.sh DIR            all of them, in DIR/empty and so on
#   scripts/screenshots.sh DIR typical    one kind of server
#   scripts/screenshots.sh DIR /secrets   the pages with this in their names
set -euo pipefail
[ $# -ge 1 ] || {
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
mkdir -p "$1"
dir=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

check_go
missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
need_packages "${missing[@]}"

# Nothing between the slashes stands for all kinds of servers.
go test -count=1 -timeout=30m ./pkg/heartlocktest/browser -run "^TestScreenshots\$${2:+/$2}" -screenshots "$dir"
say "the pictures are in $dir"
