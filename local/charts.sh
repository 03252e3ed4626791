# shellcheck shell=bash
# Installation of the two charts and of the local model.

SYSTEM_NAMESPACE=sympozium-system

# charts_install: each container requests a fifth of the chart's processor time, because a node of one or two processors must hold the
# pods of all tests that run side by side. A pod that the scheduler finds no room for waits, and its test with it.
charts_install() {
  local part requests=()
  for part in operator runsServer egress console webProxy agent; do requests+=(--set "$part.resources.requests.cpu=10m"); done
  say "installing the charts"
  release sympozium-crds
  release sympozium \
    --set "images.operator.repository=sympozium/operator" --set "images.operator.tag=$OPERATOR_TAG" \
    --set "images.webproxy.repository=sympozium/webproxy" --set "images.webproxy.tag=$WEBPROXY_TAG" \
    --set "images.console.repository=sympozium/console" --set "images.console.tag=$CONSOLE_TAG" \
    --set images.pullPolicy=IfNotPresent \
    --set platform.enabled=true \
    "${requests[@]}" \
    --set 'egress.privateNetworks={10.0.0.0/8,fd00::/8}'    # Services and pods of this cluster: webhooks in it are tools
}

# release NAME [HELM ARGUMENTS]: install or upgrade the chart charts/NAME. Helm takes over objects that were applied by hand. Helm
# ends with this script, because otherwise it would keep the release locked.
release() {
  local name=$1
  shift
  release_unlock "$name"
  setpriv --pdeathsig KILL -- helm upgrade --install "$name" "$REPOSITORY/charts/$name" --namespace "$SYSTEM_NAMESPACE" --create-namespace \
    --take-ownership --force-conflicts --wait --timeout 3m --history-max 3 "$@" >"$WORK/helm-$name.log" 2>&1 || fail "helm, release $name: $(tail -5 "$WORK/helm-$name.log"; release_pods)"
}

# release_unlock NAME: remove the "pending" revision of a Helm that was killed, because it makes Helm refuse every later upgrade.
# The revision is only a record: without it Helm takes over the objects that it made, so nothing needs to be uninstalled.
release_unlock() {
  kubectl --namespace "$SYSTEM_NAMESPACE" delete secret --ignore-not-found --output name \
    --selector "owner=helm,name=$1,status in (pending-install,pending-upgrade,pending-rollback)" |
    sed -n 's#^secret/##p' | while read -r revision; do say "  $revision was interrupted; installing over it"; done
}

release_pods() { kubectl --namespace "$SYSTEM_NAMESPACE" get pods 2>/dev/null; }

model_deploy() {
  say "deploying the local model"
  sed "s#sympozium/local-model:dev#sympozium/local-model:$MODEL_TAG#" "$LOCAL/model/kubernetes.yaml" | kubectl apply --filename - >/dev/null
  kubectl --namespace local-model rollout status deployment/local-model --timeout=120s >/dev/null ||
    fail "the local model does not start: $(kubectl --namespace local-model get pods)"
}
