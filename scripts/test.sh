#!/usr/bin/env bash
# Runs the tests, under the race detector and in random order.
#
#   scripts/test.sh                        every test
#   scripts/test.sh ./pkg/store/ -run X    what `go test` would do with these
#                                          arguments (paths from the root)
#
# A test never skips itself because something is not there: what a plain Debian
# lacks is installed first, or named and then this script fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

# What a test needs, and the Debian package that has it.
has_compiler() { # the race detector is linked by the C compiler
  printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' | "${CC:-gcc}" -x c -o /dev/null - 2>/dev/null
}
has_postgres() { # tests start servers of their own, unless they are told of one
  [ -n "${HEARTLOCK_TEST_DATABASE_URL-}${HEARTLOCK_TEST_POSTGRES_BIN-}" ] ||
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
    command -v initdb >/dev/null
}
has_python() { # values must be readable by Python's Fernet, and the other way round
  local python
  for python in /usr/bin/python3 python3; do
    "$python" -c 'import cryptography.fernet' 2>/dev/null && return
  done
  return 1
}

has_chromium() { # pages are used as people do
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
    command -v google-chrome-stable >/dev/null || command -v google-chrome >/dev/null
}

check_go
missing=()
has_compiler || missing+=(gcc libc6-dev)
has_postgres || missing+=(postgresql)
has_python || missing+=(python3-cryptography)
has_chromium || missing+=(chromium)
need_packages "${missing[@]}"
scripts/axe.sh

# The caller's own settings must not change what the tests see.
for name in $(compgen -e HEARTLOCK_) DATABASE_URL SECRET_KEY DEBUG ALLOWED_HOSTS; do
  case $name in
  HEARTLOCK_TEST_*) ;;
  *) unset "$name" ;;
  esac
done

# Tests that build the binary must not fail because a clone belongs to someone
# else, which git refuses to look into.
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-buildvcs=false"
export CGO_ENABLED=1

# A process with the race detector waits for a second before it ends. The tests
# start hundreds.
export GORACE="${GORACE:-atexit_sleep_ms=0}"

# SQLite is C turned into Go, and forty times slower under the race detector;
# its own memory is left out. Everything else, the driver, its callers and the
# standard library included, is watched. (To leave out the driver as well would
# give false alarms: it compiles generic code of sync.Map, which the linker then
# uses for everybody, without telling the detector of its synchronisation.)
# The hashing of passphrases and passwords is left out too: it touches up to 256 MiB
# again and again, with code that shares nothing.
flags=(-race -gcflags='modernc.org/sqlite/lib=-race=false' -gcflags='golang.org/x/crypto/scrypt=-race=false'
  -gcflags='golang.org/x/crypto/argon2=-race=false' -shuffle=on -count=1 -timeout=8m)

packages=(./...)
for arg in "$@"; do
  case $arg in
  . | ./* | github.com/heartlock/*) packages=() ;;
  esac
done
exec go test "${flags[@]}" "${packages[@]}" "$@"
