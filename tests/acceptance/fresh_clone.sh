#!/bin/sh
# The README's two commands in a fresh clone with an environment of its own. A command of its own, since it sets up
# everything anew and runs the whole suite:  tests/acceptance/fresh_clone.sh
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone -q "$here" "$folder/clone"
cd "$folder/clone"
grep -qx './dev demo .*' README.md
grep -qx './dev test .*' README.md
./dev demo
./dev test "$@"
