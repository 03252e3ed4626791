#!/usr/bin/env bash
# From nothing to a streamed answer: everything of up.sh, an instance, one chat completion. All of it stays running.
set -euo pipefail
# Sourced, so that what follows works in its environment and under its lock.
# shellcheck source-path=SCRIPTDIR source=up.sh
. "$(dirname "${BASH_SOURCE[0]}")/up.sh"

SERVING_BOUND=180                            # seconds
QUESTION="Why is the sky blue?"

# instance_get JSONPATH
instance_get() { kubectl --namespace default get sympoziuminstances.sympozium.ai demo --output "jsonpath=$1"; }

instance_conditions() { instance_get '{range .status.conditions[*]}        {.type}={.status} {.reason}: {.message}{"\n"}{end}' >&2; }

instance_wait() {
  local began=$EPOCHSECONDS reported=$EPOCHSECONDS phase
  until phase=$(instance_get '{.status.phase}') && [ "$phase" = Serving ]; do
    if ((EPOCHSECONDS - reported >= PROGRESS_INTERVAL)); then
      reported=$EPOCHSECONDS
      say "  the instance's phase is ${phase:-empty} ($((reported - began)) of at most $SERVING_BOUND s); its conditions:"
      instance_conditions
    fi
    if ((EPOCHSECONDS - began >= SERVING_BOUND)); then
      kubectl --namespace default get pods >&2
      fail "the instance does not serve (its conditions and pods are listed above)"
    fi
    sleep 0.5
  done
}

service_address() { kubectl --namespace default get service demo-web-endpoint-server --output 'jsonpath={.spec.clusterIP}'; }

# shellcheck disable=SC2086 # ENGINE_EXEC is a command prefix of several words
a_pod_is_idle() { [[ $($ENGINE_EXEC curl --silent --max-time 2 "http://$(service_address):9090/metrics") == *$'\n'"sympozium_idle_pods "[1-9]* ]]; }

chat_body() { printf '{"model": "smollm2", "stream": true, "max_tokens": 100, "messages": [{"role": "user", "content": "%s"}]}' "$QUESTION"; }

chat() {
  curl --no-buffer --silent --show-error --max-time 180 "$SYMPOZIUM_URL/v1/chat/completions" \
    --header "Authorization: Bearer $SYMPOZIUM_API_KEY" --header "Content-Type: application/json" --data "$(chat_body)" |
    python3 -u "$LOCAL/print_stream.py"
}

say "creating the instance demo (local/demo-instance.yaml)"
kubectl apply --filename "$LOCAL/demo-instance.yaml" >/dev/null
timed "instance demo" instance_wait
timed "kubectl's plugin" plugin_install || say "kubectl sympozium cannot be installed; all else works"
environment_write                            # now with the instance's API key
wait_until 60 "the API" curl --silent --fail "$SYMPOZIUM_URL/health" || fail "nothing answers at $SYMPOZIUM_URL/health"
wait_until 20 "an idle pod" a_pod_is_idle || true    # without one the answer begins later
say "asking the instance: $QUESTION"
echo
timed "streamed answer" chat || fail "the chat completion failed"
console_url=http://$(engine_forward "$SYSTEM_NAMESPACE" sympozium-console 8080)
platform_url=http://$(engine_forward "$SYSTEM_NAMESPACE" sympozium-platform 8000)
cat <<E

The instance stays running. Its address and key (also in .local/env):
  $SYMPOZIUM_URL
  $SYMPOZIUM_API_KEY

Ask it a question:
  curl -N $SYMPOZIUM_URL/v1/chat/completions -H 'Authorization: Bearer $SYMPOZIUM_API_KEY' -H 'Content-Type: application/json' \\
    -d '$(chat_body)'

The console's pages:  $console_url
Sign in with what this prints:
  . .local/env && kubectl -n $SYSTEM_NAMESPACE get secret sympozium-console-token -o jsonpath='{.data.token}' | base64 -d

The agent platform:  $platform_url/docs
A key for it:        docs/guides/platform.md, "Address and key"

From a shell:        . .local/env && kubectl sympozium chat demo "$QUESTION"
List its runs:       . .local/env && kubectl sympozium runs
All it can do:       kubectl sympozium --help, docs/guides/kubectl-plugin.md
Remove everything:   make down
E
steps_print
say "done"
