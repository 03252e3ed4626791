{{- /* Who may do what, where: in the whole cluster, or in the namespaces of values.namespaces and the release's own (decision 0017). */}}

{{- /* The namespaces that are served, as JSON; [] stands for all. Call with the root. */}}
{{- define "sympozium.namespaces" -}}
{{- with .Values.namespaces }}{{ append . $.Release.Namespace | uniq | toJson }}{{ else }}[]{{ end }}
{{- end }}

{{- /* Binds the service account of a part, .name, to .rules in all that is served, and to .clusterRules, which name no object of a
namespace, where the whole cluster is. Call with (dict "root" $ "component" "operator" "name" "sympozium-operator" "rules" "..."
"clusterRules" "..."). */}}
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
    name: {{ .name }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
