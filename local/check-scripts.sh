#!/usr/bin/env bash
# Check the types of the console's scripts, which are in their JSDoc: modules run in a browser as they are written, without a build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../console/src/sympozium_console/pages/static/js"
TYPESCRIPT=7.0.2
folder=${SYMPOZIUM_CACHE:-$HOME/.cache/sympozium}/typescript-$TYPESCRIPT

if [ ! -x "$folder/node_modules/.bin/tsc" ]; then
  command -v npm >/dev/null || { echo "Node.js with npm is needed: TypeScript comes from it" >&2; exit 1; }
  npm install --silent --prefix "$folder" --ignore-scripts --no-audit --no-fund "typescript@$TYPESCRIPT"
fi
find . -name "*.js" -exec "$folder/node_modules/.bin/tsc" --allowJs --checkJs --noEmit --strict --noUncheckedIndexedAccess \
  --target es2023 --lib es2023,dom,dom.iterable --module es2022 --moduleResolution bundler {} +
