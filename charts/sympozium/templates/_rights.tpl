{{- /* RBAC in the whole cluster, or in values.namespaces and the release's own namespace (decision 0017). */}}

{{- /* The served namespaces, as JSON; [] stands for all. Takes the root. */}}
{{- define "sympozium.namespaces" -}}
{{- with .Values.namespaces }}{{ append . $.Release.Namespace | uniq | toJson }}{{ else }}[]{{ end }}
{{- end }}

{{- /* Binds the service account .name to .rules in the served namespaces. If the whole cluster is served, it also binds
.clusterRules, which name cluster-scoped objects. Takes (dict "root" $ "component" "operator" "name" "sympozium-operator" "rules"
"..." "clusterRules" "..."), and "account" where the roles have another name than the service account. */}}
{{- define "sympozium.rights" -}}
{{- $part := . }}
{{- range $namespace := include "sympozium.namespaces" .root | fromJsonArray }}
{{ include "sympozium.rights.in" (merge (dict "scope" "" "namespace" $namespace) $part) }}
{{- else }}
{{ include "sympozium.rights.in" (merge (dict "scope" "Cluster" "rules" (print .rules .clusterRules)) $part) }}
{{- end }}
{{- end }}

{{- define "sympozium.rights.in" -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .scope }}Role
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "sympozium.labels" . | nindent 4 }}
rules: {{- .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .scope }}RoleBinding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "sympozium.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .scope }}Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account | default .name }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
