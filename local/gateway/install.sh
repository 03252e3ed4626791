#!/usr/bin/env bash
# Install a Gateway API implementation in the cluster of local/up.sh: Envoy Gateway and the GatewayClass envoy. It makes no
# Gateway, because the operator does. It may run again at any time; where all is installed, it takes a second.
set -euo pipefail
LOCAL=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=$(dirname "$LOCAL")/.local
for part in progress lock engine charts environment gateway/build; do
  # shellcheck source=/dev/null
  . "$LOCAL/$part.sh"
done

GATEWAY_NAMESPACE=envoy-gateway-system
STAMP=sympozium.ai/installed                 # annotation of that namespace: a hash of what was installed last

gateway_install() {
  local stamp
  stamp=$(cat "$LOCAL"/gateway/*.yaml "$LOCAL"/gateway/*.sh <(echo "$GATEWAY_TAG") | sha256sum | cut -c1-16)
  if gateway_is_installed "$stamp"; then
    say "Envoy Gateway is installed"
    return
  fi
  say "installing Envoy Gateway $ENVOY_GATEWAY_VERSION"
  gateway_crds
  gateway_chart
  sed "s#:dev .*#:$GATEWAY_TAG#" "$LOCAL/gateway/class.yaml" | kubectl apply --server-side --force-conflicts --filename - >/dev/null
  wait_until 60 "the GatewayClass" kubectl wait --for=condition=Accepted --timeout=5s gatewayclass/envoy || fail "the GatewayClass envoy is not accepted"
  kubectl annotate --overwrite namespace "$GATEWAY_NAMESPACE" "$STAMP=$stamp" >/dev/null
  engine_prune_images sympozium/local-gateway "$GATEWAY_TAG"
}

# gateway_is_installed STAMP: return false also if a test or a person has removed a part.
gateway_is_installed() {
  [ "$(kubectl get namespace "$GATEWAY_NAMESPACE" --output "go-template={{index .metadata.annotations \"$STAMP\"}}" 2>/dev/null)" = "$1" ] &&
    kubectl get crd gateways.gateway.networking.k8s.io httproutes.gateway.networking.k8s.io envoyproxies.gateway.envoyproxy.io >/dev/null 2>&1 &&
    kubectl get gatewayclass/envoy >/dev/null 2>&1 &&
    kubectl --namespace "$GATEWAY_NAMESPACE" rollout status deployment/envoy-gateway --timeout=60s >/dev/null 2>&1
}

# gateway_crds: apply on the server, because one CRD is too big for the annotation that kubectl would write.
gateway_crds() {
  kubectl apply --server-side --force-conflicts --filename "$GATEWAY_PARTS/crds/gateway-api" --filename "$GATEWAY_PARTS/crds/envoy-gateway" >"$WORK/gateway-crds.log" 2>&1 ||
    fail "the CRDs: $(tail -5 "$WORK/gateway-crds.log")"
  # kubectl fails at once on a CRD that has no conditions yet, so it is asked again
  wait_until 60 "the CRDs of the Gateway API" kubectl wait --for=condition=Established --timeout=5s \
    crd/httproutes.gateway.networking.k8s.io crd/envoyproxies.gateway.envoyproxy.io || fail "the CRDs of the Gateway API are not established"
}

gateway_chart() {
  SYSTEM_NAMESPACE=$GATEWAY_NAMESPACE release_unlock envoy-gateway
  setpriv --pdeathsig KILL -- helm upgrade --install envoy-gateway "$GATEWAY_PARTS/chart" --namespace "$GATEWAY_NAMESPACE" --create-namespace \
    --skip-crds --wait --timeout 3m --history-max 3 --values "$LOCAL/gateway/values.yaml" \
    --set "global.images.envoyGateway.image=docker.io/sympozium/local-gateway:$GATEWAY_TAG" >"$WORK/helm-envoy-gateway.log" 2>&1 ||
    fail "helm, release envoy-gateway: $(tail -5 "$WORK/helm-envoy-gateway.log"; SYSTEM_NAMESPACE=$GATEWAY_NAMESPACE release_pods)"
}

environment_use
hold_lock "$ENGINE_LOCK"
gateway_build
gateway_install
