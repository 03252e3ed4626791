#!/usr/bin/env bash
# Keeps a Service of a kind cluster at a port of 127.0.0.1: `kubectl port-forward` ends with the pod it went to.
#   kind-forward.sh NAMESPACE SERVICE PORTS
while :; do
  kubectl --namespace "$1" port-forward --address 127.0.0.1 "service/$2" "$3"
  sleep 1
done
