#!/usr/bin/env bash
# Runs a command as the user `daemon`, with a home and a temporary directory of its own below TMPDIR: cargo's runner for
# tests as an ordinary user. Needs root, and a checkout that other users can read.
#
#   cargo test --config "target.'cfg(unix)'.runner = '$PWD/tests/as-user.sh'"
set -euo pipefail
home=$(mktemp -d "${TMPDIR:-/tmp}/user.XXXXXX")
trap 'rm -rf "$home"' EXIT
chown daemon: "$home"
chmod 755 "$home"
env HOME="$home" TMPDIR="$home" INSTA_WORKSPACE_ROOT="$PWD" setpriv --reuid=daemon --regid=daemon --init-groups "$@"
