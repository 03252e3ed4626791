#!/usr/bin/env bash
# Install PostgreSQL's programs where they are missing, for the tests that start a server of their own. No server is left running.
set -euo pipefail

if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then exit; fi
root=() && ((EUID)) && root=(sudo)
"${root[@]}" apt-get update -qq
"${root[@]}" apt-get install -y -qq --no-install-recommends postgresql-common
# Else the package creates a cluster of its own and starts it.
"${root[@]}" sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
"${root[@]}" apt-get install -y -qq --no-install-recommends postgresql
