#!/usr/bin/env bash
# Renew the libraries that the console's pages bring with them, from npm: file, licence, and in vendored.json version and digest.
# Another version is a change of this file. Nothing of npm's own lands in the repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../console/src/sympozium_console/pages/static/vendor"
HTMX=4.0.1

command -v npm >/dev/null || { echo "Node.js with npm is needed: the libraries come from it" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm pack --silent "htmx.org@$HTMX" >/dev/null && tar --extract --gzip --file htmx.org-*.tgz)
cp "$folder/package/dist/htmx.esm.min.js" .
cp "$folder/package/dist/htmx.d.ts" htmx.esm.min.d.ts # for the check of our scripts' types; it is not served
cp "$folder/package/LICENSE" htmx.LICENSE
digest=$(sha256sum htmx.esm.min.js | cut --delimiter ' ' --fields 1)
printf '[\n  {"package": "htmx.org", "version": "%s", "licence": "0BSD", "file": "htmx.esm.min.js", "sha256": "%s"}\n]\n' \
  "$HTMX" "$digest" >vendored.json
