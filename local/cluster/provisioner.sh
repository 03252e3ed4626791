#!/usr/bin/env bash
# A storage provisioner for the one node: a folder of the node for each claim of the StorageClass local, which is the default.
# It runs as a daemon of the node and waits in two watches, so it takes no processor time while nothing changes.
#   provisioner.sh KUBECTL KUBECONFIG NODE
set -euo pipefail
KUBECTL=$1 NODE=$3
export KUBECONFIG=$2
VOLUMES=/var/lib/volumes                     # below the cluster's state, so `down` removes it

storage_class() {
  cat <<'Y'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
reclaimPolicy: Delete
Y
}

# volume NAMESPACE CLAIM UID SIZE: print a PersistentVolume for the claim. Its kind "local" heeds a pod's fsGroup; "hostPath" does not.
volume() {
  cat <<Y
apiVersion: v1
kind: PersistentVolume
metadata: {name: local-$3}
spec:
  storageClassName: local
  persistentVolumeReclaimPolicy: Retain
  accessModes: [ReadWriteOnce]
  capacity: {storage: $4}
  claimRef: {namespace: $1, name: $2, uid: $3}
  local: {path: $VOLUMES/$3}
  nodeAffinity:
    required:
      nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$NODE]}]}]
Y
}

# watch KIND FIELDS: print a line for each object, again whenever it changes. A watch ends now and then, and begins again.
watch() {
  while :; do
    "$KUBECTL" get "$1" --all-namespaces --watch --output "jsonpath=$2{\"\\n\"}" || true
    sleep 1
  done
}

provide() {
  local phase class namespace claim uid size
  watch persistentvolumeclaims '{.status.phase} {.spec.storageClassName} {.metadata.namespace} {.metadata.name} {.metadata.uid} {.spec.resources.requests.storage}' |
    while read -r phase class namespace claim uid size; do
      [ "$phase $class" = "Pending local" ] || continue
      mkdir -p "$VOLUMES/$uid"
      volume "$namespace" "$claim" "$uid" "$size" | "$KUBECTL" apply --filename - || true
    done
}

# clean: Kubernetes deletes no volume of this kind, so its folder and its object are removed here, once their claim is gone.
clean() {
  local phase class name uid
  watch persistentvolumes '{.status.phase} {.spec.storageClassName} {.metadata.name} {.spec.claimRef.uid}' |
    while read -r phase class name uid; do
      [ "$phase $class $name" = "Released local local-$uid" ] || continue
      rm -rf --one-file-system "${VOLUMES:?}/$uid"
      "$KUBECTL" delete persistentvolume "$name" --ignore-not-found || true
    done
}

until storage_class | "$KUBECTL" apply --filename -; do sleep 1; done
provide &
clean
