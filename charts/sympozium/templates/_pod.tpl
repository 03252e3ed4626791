{{- /* Parts shared by the pods of all Deployments: Pod Security level "restricted" and a read-only root file system.
Take (dict "root" $ "component" "operator" "name" "sympozium-operator" "image" "operator" "values" .Values.operator), and "fsGroup"
where the pod writes to a volume, "annotations" for further ones of its own. */}}

{{- define "sympozium.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  labels: {{- include "sympozium.labels" . | nindent 4 }}
  {{- with .values.serviceAccount.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* The chart's labels override the user's, because selectors need them. */}}
{{- define "sympozium.podMetadata" -}}
labels: {{- merge (include "sympozium.labels" . | fromYaml) .values.podLabels | toYaml | nindent 2 }}
{{- with merge (.annotations | default dict) .values.podAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sympozium.pod" -}}
serviceAccountName: {{ .name }}
enableServiceLinks: false
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "sympozium.selector" . | nindent 8 }}
{{- with include "sympozium.scheduling" .values | fromYaml }}
{{ toYaml . }}
{{- end }}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  {{- with .fsGroup }}
  fsGroup: {{ . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "sympozium.container" -}}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- /* Volume with the token by which operator and console ask the egress guard to call Providers. */}}
{{- define "sympozium.egressToken" -}}
- name: egress-token
  projected:
    sources:
      - serviceAccountToken:
          audience: sympozium-egress
          expirationSeconds: 3600
          path: token
{{- end }}

{{- /* Scheduling fields of a pod, without unset ones. Takes the values of a component. */}}
{{- define "sympozium.scheduling" -}}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with index $ $field }}
{{ $field }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The same for pods that the operator creates: part of a pod template, as JSON. */}}
{{- define "sympozium.podTemplate" -}}
{{- $metadata := dict }}
{{- with .podLabels }}{{ $_ := set $metadata "labels" . }}{{ end }}
{{- with .podAnnotations }}{{ $_ := set $metadata "annotations" . }}{{ end }}
{{- $template := dict }}
{{- with $metadata }}{{ $_ := set $template "metadata" . }}{{ end }}
{{- with include "sympozium.scheduling" . | fromYaml }}{{ $_ := set $template "spec" . }}{{ end }}
{{- toJson $template }}
{{- end }}

{{- /* Two or more replicas: a drained node evicts one at a time. */}}
{{- define "sympozium.disruptionBudget" -}}
{{- if gt (int .values.replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels: {{- include "sympozium.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "sympozium.selector" . | nindent 6 }}
{{- end }}
{{- end }}
