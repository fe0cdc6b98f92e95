# shellcheck shell=bash
# Functions that the scripts share; to be sourced by bash.

# say tells on stderr what is being done; die also ends the script.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# check_go ends the script unless the go command can build this module.
check_go() {
  local version
  command -v go >/dev/null || die "Go is missing: install 1.26 or newer from https://go.dev/dl/"
  # Inside the module the go command answers only if it, or the toolchain that it
  # may fetch, is as new as go.mod asks for.
  version=$(go env GOVERSION 2>&1) || die "this Go is too old, 1.26 or newer is needed (https://go.dev/dl/): $version"
}

# need_packages installs the Debian packages that it is given, if this is root on
# a machine with apt-get; else it ends the script and names them.
need_packages() {
  [ $# -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "missing, please install (Debian's package names): $*"
  fi
  say "installing $*"
  local log
  log=$(mktemp)
  if ! apt_install "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    die "apt-get could not install: $*"
  fi
  rm -f "$log"
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq </dev/null && apt-get install -y -qq --no-install-recommends "$@" </dev/null
}
