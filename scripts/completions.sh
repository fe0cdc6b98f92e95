#!/usr/bin/env bash
# Writes completions/ anew from the command tree. A test compares the two, so
# this is for whoever changed a command or a flag.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

check_go
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -buildvcs=false -o "$work/heartlock" .
for target in bash:heartlock.bash zsh:heartlock.zsh fish:heartlock.fish powershell:heartlock.ps1; do
  "$work/heartlock" completion "${target%%:*}" >"$work/script"
  mkdir -p completions
  cp "$work/script" "completions/${target#*:}"
done
