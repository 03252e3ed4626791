#!/usr/bin/env bash
# The clients that tests drive beside the Python SDK: OpenAI's for Node, and LangChain's. Installed outside of the repository, once,
# before the tests begin: where the tests run there may be no way to a registry.
set -euo pipefail
OPENAI_NODE=7.57.0
LANGCHAIN_OPENAI=1.7.3
CLIENTS=${SYMPOZIUM_CACHE:-$HOME/.cache/sympozium}/clients

# installed FOLDER VERSION: whether it is there already, whole.
installed() { [ "$(cat "$CLIENTS/$1/.version" 2>/dev/null)" = "$2" ]; }

fresh() { rm -rf "${CLIENTS:?}/$1" && mkdir -p "$CLIENTS/$1"; }

command -v npm >/dev/null || { echo "Node.js with npm is needed: the tests drive OpenAI's client for it" >&2; exit 1; }
if ! installed node "$OPENAI_NODE"; then
  fresh node
  npm install --silent --prefix "$CLIENTS/node" --ignore-scripts --no-audit --no-fund "openai@$OPENAI_NODE"
  echo "$OPENAI_NODE" >"$CLIENTS/node/.version"
fi
if ! installed langchain "$LANGCHAIN_OPENAI"; then
  fresh langchain
  python3 -m venv "$CLIENTS/langchain"
  "$CLIENTS/langchain/bin/pip" install --quiet --disable-pip-version-check "langchain-openai==$LANGCHAIN_OPENAI"
  echo "$LANGCHAIN_OPENAI" >"$CLIENTS/langchain/.version"
fi
