{{- /* Labels and images. Templates that need a component take (dict "root" $ "component" "operator"). */}}

{{- define "sympozium.selector" -}}
app.kubernetes.io/name: sympozium
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "sympozium.labels" -}}
{{ include "sympozium.selector" . }}
app.kubernetes.io/part-of: sympozium
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "sympozium.image" -}}
{{- $image := index .root.Values.images .image -}}
{{- with .root.Values.images.registry }}{{ . }}/{{ end }}{{ $image.repository }}{{ with $image.digest }}@{{ . }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Names of the Leases of the operator's shards: of all that there can be, because a replica looks for those of another number. */}}
{{- define "sympozium.operatorLeases" -}}
[sympozium-operator{{ range $shard := untilStep 1 32 1 }}, sympozium-operator-{{ $shard }}{{ end }}]
{{- end }}
