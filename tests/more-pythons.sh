#!/usr/bin/env bash
# Unpacks CPython 3.14, CPython 3.15 and PyPy 3.11 for the tests: tests/more-pythons.sh [DIR]
#
# DIR is target/pythons unless it is given; DIR/bin gets python3.14, python3.15 and pypy3.11. The tests look for them in
# target/pythons/bin, in $PYCSTORE_PYTHONS/bin and in PATH. The packages are those of Debian unstable, with the libraries
# that they need. Nothing is installed: the programs get the loader and the library path of DIR, so that they run on an
# older Debian. Needs Debian on x86-64 and root (for apt); fetches 40 MB, which take
# 170 MB unpacked. Does nothing where all three run already.
set -euo pipefail

names=(python3.14 python3.15 pypy3.11)
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Below a directory that others may write to, as /tmp is, root runs no interpreter: there they go to root's home, and
# target/pythons is a link.
below_others() {
  local above=$1
  while [[ $above != / ]]; do
    above=$(dirname "$above")
    if [[ $(find "$above" -maxdepth 0 -perm /022) ]]; then return 0; fi
  done
  return 1
}
if [[ $# == 0 && $(id -u) == 0 && ! -d $project/target/pythons ]] && below_others "$project"; then
  home=$(getent passwd 0 | cut -d: -f6)
  mkdir -p "$home/.cache/pycstore-tests/pythons" "$project/target"
  ln -sfn "$home/.cache/pycstore-tests/pythons" "$project/target/pythons"
fi
mkdir -p "${1:-$project/target/pythons}"
directory=$(cd "${1:-$project/target/pythons}" && pwd -P)

all_run() {
  local name
  for name in "${names[@]}"; do
    "$directory/bin/$name" -I -c 'import ctypes, zlib' &>/dev/null || return 1
  done
}

if all_run; then
  exit 0
fi
if [[ $(id -u) != 0 || $(dpkg --print-architecture 2>/dev/null) != amd64 ]]; then
  echo "more-pythons.sh: needs root on a Debian for x86-64" >&2
  exit 1
fi
if ! type patchelf &>/dev/null; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends -o Acquire::Retries=3 patchelf >/dev/null
fi

# apt with lists, a cache and a status of its own. To it nothing is installed, so that every library comes along.
work=$directory/unpacking
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,archives}/partial
touch "$work/status"
mirror=$({ grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d/*.sources || true; } 2>/dev/null |
  grep -v snapshot | head -n 1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] ${mirror:-http://deb.debian.org/debian} sid main" >"$work/sources.list"
apt=(apt-get -qq -y --no-install-recommends -o Acquire::Retries=3 -o APT::Sandbox::User=root
  -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State=$work"
  -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work"
  -o "Dir::Cache::Archives=$work/archives")
"${apt[@]}" update
"${apt[@]}" --download-only install python3.14 python3.15 pypy3 >/dev/null

root=$directory/root
rm -rf "$root" "$directory/bin"
mkdir -p "$root" "$directory/bin"
for package in "$work"/archives/*.deb; do
  dpkg-deb --extract "$package" "$root"
done
for name in "${names[@]}"; do
  patchelf --set-interpreter "$root/usr/lib64/ld-linux-x86-64.so.2" --force-rpath \
    --set-rpath "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/$name"
  ln -s "../root/usr/bin/$name" "$directory/bin/$name"
done
if ! all_run; then
  echo "more-pythons.sh: what was unpacked into $directory does not run" >&2
  exit 1
fi
