#!/usr/bin/env bash
# Runs a command, such as the tests, where it can write to nothing but a temporary directory of its own, which TMPDIR
# names, and the build directory: every other file system is read-only, in a mount namespace that ends with the command.
# A test that writes to a real place (a home, /srv, /etc, /var) fails there. /tmp is another one, for programs that know
# no TMPDIR (cron, systemd-analyze); what is left in it is an error. Needs root.
#
#   tests/confined.sh cargo test
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(realpath -m "${CARGO_TARGET_DIR:-$project/target}")

if [[ ${1:-} != --inside ]]; then
  own=$(mktemp -d /var/tmp/pycstore-tests.XXXXXX)
  trap 'rm -rf "$own"' EXIT
  # Tests let other users into their directories.
  chmod 755 "$own"
  unshare --mount --propagation private "${BASH_SOURCE[0]}" --inside "$own" "$@"
  exit
fi

disk=$2 own=/tmp/own
shift 2
mkdir -p "$build"
mount --bind "$build" "$build"
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
(
  cd "$project"
  mount -t tmpfs -o mode=1777 tmpfs /tmp
  if [[ ! -e $project ]]; then # it is below /tmp
    mkdir -p "$project"
    mount --no-canonicalize --rbind /proc/self/cwd "$project"
  fi
)
mkdir "$own"
mount --bind "$disk" "$own"
# Mount points as the kernel escapes them. Some lie hidden below /tmp.
while read -r _ _ _ _ place _; do
  printf -v place '%b' "${place//\\/\\0}"
  case $place in
    "$own" | "$build" | /tmp | /dev/shm | /dev/pts | /proc | /proc/*) ;;
    *) if [[ -e $place ]]; then mount -o remount,bind,ro "$place"; fi ;;
  esac
done </proc/self/mountinfo
cd "$project"
status=0
TMPDIR=$own PYCSTORE_TESTS_CONFINED=1 "$@" || status=$?
# Directories on the way to what is mounted there are not empty.
left=$(find /tmp -xdev -mindepth 1 ! -path "$own" \( ! -type d -o -empty \))
if [[ $left ]]; then
  echo "${BASH_SOURCE[0]}: left in /tmp: $left" >&2
  status=1
fi
exit $status
