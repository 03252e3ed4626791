#!/usr/bin/env bash
# The walk of docs/guides/platform.md in one piece: a tool, an agent that may call it, a run, and what the audit has about them.
# API_URL, API_KEY and MODEL are set there.
set -euo pipefail

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
TOKEN=$(curl -sS --fail-with-body -X POST "$API_URL/auth/token" -H "x-api-key: $API_KEY" | field token)
api() { curl -sS --fail-with-body -w '\n' -H "Authorization: Bearer $TOKEN" "$@"; }

TOOL=$(api "$API_URL/tools" -d '{
  "name": "echo_tool",
  "description": "Echo a text.",
  "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
  "execution_type": "http_webhook",
  "endpoint": "http://tool-mock:9000/echo"
}' | field id)

AGENT=$(api "$API_URL/agents" -d '{
  "name": "Echo",
  "system_prompt": "Use the tool echo_tool for what is to be echoed.",
  "model": "'"$MODEL"'",
  "llm_params": {"max_tokens": 200},
  "status": "published"
}' | field id)

api "$API_URL/agents/$AGENT/tools/$TOOL" -d '{"permission_scope": "read", "allowed_domains": ["tool-mock"]}'

QUESTION='{"agent_id": "'"$AGENT"'", "input_message": "Echo the word hello using the tool"}'
api "$API_URL/runs" -d "$QUESTION"

api -N "$API_URL/runs/stream" -d "$QUESTION"

api "$API_URL/runs?limit=2"
api "$API_URL/audit?limit=10"
