#!/usr/bin/env bash
# Serve Valkey on port 6379, in memory alone. VALKEYCLI_AUTH is its password.
# While the file /data/away exists, the server does not run, so that a test can take it away and bring it back.
set -eu

while :; do
  [ -e /data/away ] || echo "requirepass $VALKEYCLI_AUTH" | valkey-server - --save '' --dir /data || true
  sleep 0.2
done
