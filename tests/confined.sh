#!/usr/bin/env bash
# Runs a command, such as the tests, in a mount namespace where only the build directory and a temporary directory, named by
# TMPDIR, are writable; all other file systems are read-only. So a test that writes to a real place (a home, /srv, /etc,
# /var) fails. /tmp is an empty tmpfs, for programs that ignore TMPDIR (cron, systemd-analyze); a file left in it is an
# error. Needs root.
#
#   tests/confined.sh cargo test
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(realpath -m "${CARGO_TARGET_DIR:-$project/target}")

if [[ ${1:-} != --inside ]]; then
  own=$(mktemp -d /var/tmp/pycstore-tests.XXXXXX)
  trap 'rm -rf "$own"' EXIT
  # Tests let other users enter their directories.
  chmod 755 "$own"
  unshare --mount --propagation private "${BASH_SOURCE[0]}" --inside "$own" "$@"
  exit
fi

disk=$2
# Not in /tmp itself: where both a directory and its parent change, as /tmp does with those programs, the directory may have
# been renamed, and every path below it has a trace.
own=/tmp/tests/own
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
mkdir -p "$own"
mount --bind "$disk" "$own"
# Mount points, with the kernel's escapes. Some are hidden below the new /tmp.
while read -r _ _ _ _ place _; do
  printf -v place '%b' "${place//\\/\\0}"
  case $place in
    "$own" | "$build" | /tmp | /dev/shm | /dev/pts | /proc | /proc/*) ;;
    *) if [[ -e $place ]]; then mount -o remount,bind,ro "$place"; fi ;;
  esac
done </proc/self/mountinfo
cd "$project"
status=0
# Snapshots are compared only: sources are not writable.
TMPDIR=$own PYCSTORE_TESTS_CONFINED=1 INSTA_UPDATE=no "$@" || status=$?
# Parent directories of mount points are not empty.
left=$(find /tmp -xdev -mindepth 1 ! -path "$own" \( ! -type d -o -empty \))
if [[ $left ]]; then
  echo "${BASH_SOURCE[0]}: left in /tmp: $left" >&2
  status=1
fi
exit $status
