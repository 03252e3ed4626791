#!/usr/bin/env bash
# python.sh DIR: make a virtual environment with the project and its development tools, at the versions of constraints.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then # Debian packages them apart from Python
  apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
fi
[ -x "$1/bin/pip" ] || python3 -m venv "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' # the first with --group
"$1/bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt --group dev --editable '.[operator,webproxy,agent,console,egress,cli]'
