#!/usr/bin/env bash
# Forward a port of 127.0.0.1 to a Service of a kind cluster, again and again: `kubectl port-forward` ends with its pod.
#   kind-forward.sh NAMESPACE SERVICE PORTS
while :; do
  kubectl --namespace "$1" port-forward --address 127.0.0.1 "service/$2" "$3"
  sleep 1
done
