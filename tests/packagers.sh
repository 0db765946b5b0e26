#!/usr/bin/env bash
# Installs maturin, zig and cargo-deb for the tests of packages into target/packagers; does nothing where they are there.
# Needs Python with venv, a package index and crates.io; takes a minute or two. Fetches the crates of all platforms, too: the tests
# of packages work without a network.
set -euo pipefail
cd "$(dirname "$0")/.."
directory=${CARGO_TARGET_DIR:-target}/packagers
cargo fetch --locked --quiet
if [[ ! -x $directory/bin/maturin ]]; then
  python3 -m venv --clear "$directory"
  "$directory/bin/pip" install --quiet --disable-pip-version-check 'maturin>=1.9,<2' ziglang
fi
if [[ ! -x $directory/bin/cargo-deb ]]; then
  # Unoptimised and without debug information, it compiles in half the time and packs as well.
  CARGO_PROFILE_DEV_DEBUG=0 cargo install cargo-deb --version 3.8.0 --locked --debug --quiet --root "$directory"
fi
