#!/usr/bin/env bash
# Builds the recipe of `pycstore setup docker` with buildah on a Debian from debootstrap, and checks that the image's user imports
# everything from the store, also after all mtimes have changed, and that a second build compiles only what changed.
# Needs root, Debian's archive, a package index, buildah, debootstrap, and maturin (tests/packagers.sh); takes a few minutes and 2 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=${CARGO_TARGET_DIR:-$PWD/target}/packagers/bin:$PATH
work=$(mktemp -d /var/tmp/pycstore-image.XXXXXX)
trap 'rm -rf "$work"' EXIT
buildah() { TMPDIR=$work command buildah --root "$work/images" --runroot "$work/run" --storage-driver vfs "$@"; }
fail() {
  echo "$0: $*" >&2
  exit 1
}

# The base image. Its pip installs the packages in /wheels.
debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,python-is-python3 bookworm "$work/base" >/dev/null
maturin build --quiet --profile dev --compatibility linux --out "$work/base/wheels"
pip download --quiet --dest "$work/base/wheels" rich
printf '%s\n' '[global]' 'no-index = true' 'find-links = /wheels' 'break-system-packages = true' >"$work/base/etc/pip.conf"
container=$(buildah from scratch)
buildah add --quiet "$container" "$work/base" >/dev/null
buildah commit --quiet --rm "$container" base >/dev/null
rm -rf "$work/base"

app=$work/app
mkdir -p "$app/package"
cargo run --quiet -- setup docker >"$app/Dockerfile"
echo rich >"$app/requirements.txt"
echo 'import json, package.edited, package.kept, rich.console' >"$app/main.py"
touch "$app/package/"{__init__,kept,edited,deleted}.py
echo 'x = (' >"$app/package/invalid.py"
build() {
  buildah build --isolation chroot --pull-never --build-arg BASE=localhost/base --tag app "$app" &>"$work/log" || fail "$(cat "$work/log")"
  grep -E '^(compiled|removed) |^nothing to remove' "$work/log"
}
run() { buildah run --isolation chroot "$container" -- "$@"; }
check() {
  run .venv/bin/python -v main.py 2>"$work/log"
  echo "$1: $(run id -un) loads $(grep -c ' matches /' "$work/log") modules from the store"
  if grep -E "^# (wrote|code object from [^']*\.py$)" "$work/log"; then fail "compiled in the container"; fi
  grep -q '^# /var/cache/cpython/app/package/kept.*matches' "$work/log" || fail "not from the store"
}

build
container=$(buildah from --pull-never app)
check "as built"
buildah run --isolation chroot --user root "$container" -- find /app /usr/lib/python3.11 -name '*.py' -exec touch -d 2001-02-03 {} +
check "after all mtimes changed"
if run touch /var/cache/cpython/x 2>/dev/null; then fail "the user can write to the store"; fi
buildah rm "$container" >/dev/null

echo 'A = 1' >"$app/package/edited.py"
rm "$app/package/deleted.py"
find "$app" -type f -exec touch {} +
build
grep -q '^compiled 1 source, ' "$work/log" || fail "the second build did not find the store of the first"
grep -q '^removed 1 file, ' "$work/log" || fail "the entry of a deleted source is still in the store"
