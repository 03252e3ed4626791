# shellcheck shell=bash
# .local/env: the settings of a shell that uses the cluster (`. .local/env && kubectl get runs`).

# environment_use: set the same for this script.
environment_use() {
  engine_settings
  export KUBECONFIG=$ENGINE_KUBECONFIG PATH=$ENGINE_PATH:$PATH
}

# environment_write: write the file. The API key is empty until the demo instance has one.
environment_write() {
  SYMPOZIUM_URL=http://$(engine_forward default demo-web-endpoint-server 8080)
  SYMPOZIUM_API_KEY=$(kubectl --namespace default get secret demo-web-endpoint-web-api-key --ignore-not-found \
    --output 'go-template={{index .data "api-key" | base64decode}}')
  (
    umask 077
    cat >"$WORK/env.new" <<E
# Written by local/up.sh; use it with: . .local/env
export KUBECONFIG=$ENGINE_KUBECONFIG
case :\$PATH: in *:$ENGINE_PATH:*) ;; *) export PATH=$ENGINE_PATH:\$PATH ;; esac
# kubectl's plugin, \`kubectl sympozium\`.
case :\$PATH: in *:$WORK/bin:*) ;; *) export PATH=$WORK/bin:\$PATH ;; esac
# The demo instance's API.
export SYMPOZIUM_URL=$SYMPOZIUM_URL
export SYMPOZIUM_API_KEY=$SYMPOZIUM_API_KEY
# Run a command where pod and Service addresses are reachable.
export SYMPOZIUM_EXEC='$ENGINE_EXEC'
# The tag of the image sympozium/webproxy.
export SYMPOZIUM_IMAGE_TAG=$WEBPROXY_TAG
# The images of PostgreSQL and Valkey, which local/databases.sh puts into the cluster.
export SYMPOZIUM_POSTGRES_IMAGE=sympozium/local-postgres:$(image_tag local/postgres local/postgres/Dockerfile)
export SYMPOZIUM_VALKEY_IMAGE=sympozium/local-valkey:$(image_tag local/valkey local/valkey/Dockerfile)
# Every write to the Kubernetes API; empty where the engine keeps none.
export SYMPOZIUM_AUDIT_LOG=$ENGINE_AUDIT_LOG
E
  )
  mv "$WORK/env.new" "$WORK/env"
}
