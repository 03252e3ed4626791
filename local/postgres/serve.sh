#!/usr/bin/env bash
# Serve PostgreSQL on port 5432 from the volume /data. PGPASSWORD is the password of its user postgres.
# While the file /data/away exists, the server does not run, so that a test can take it away and bring it back with its data.
set -eu

[ -s "$PGDATA/PG_VERSION" ] || {
  (umask 077 && echo "$PGPASSWORD" >/data/password)
  initdb --username=postgres --encoding=UTF8 --pwfile=/data/password --auth=scram-sha-256 --no-sync
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
}
while :; do
  [ -e /data/away ] || postgres -c listen_addresses='*' -c unix_socket_directories=/data -c fsync=off || true
  sleep 0.2
done
