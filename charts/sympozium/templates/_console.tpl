{{- /* The console's APIs, values that cannot hold together, and the Secret of its Valkey or Redis. Templates take the root. */}}

{{- /* The name of the Secret whose entry REDIS_URL is the server's address; nothing without one. */}}
{{- define "sympozium.console.redis" -}}
{{- with .Values.console }}
{{- if and .redis.url .redis.existingSecret }}
{{- fail "set console.redis.url or console.redis.existingSecret, not both" }}
{{- end }}
{{- if and .redis.url (not (regexMatch "^(redis|valkey)s?://" .redis.url)) }}
{{- fail "console.redis.url must begin with redis:// or rediss://, as in redis://:password@valkey:6379" }}
{{- end }}
{{- $limits := compact (values .limits) }}
{{- if and (or $limits $.Values.platform.enabled) (gt (int .replicas) 1) (not .redis.url) (not .redis.existingSecret) }}
{{- fail "console.replicas above 1 with console.limits or platform.enabled needs console.redis.url or console.redis.existingSecret, in which the replicas count requests together" }}
{{- end }}
{{- if .redis.url }}sympozium-console-redis{{ else }}{{ .redis.existingSecret }}{{ end }}
{{- end }}
{{- end }}

{{- /* The console's APIs that are on, as JSON: port, its name, the Service, and the host name outside, if there is one. */}}
{{- define "sympozium.console.surfaces" -}}
{{- $surfaces := list }}
{{- with .Values.console }}
{{- if and .enabled .management.enabled }}
{{- $surfaces = append $surfaces (dict "name" "http" "port" 8080 "service" "sympozium-console" "hostname" .management.hostname) }}
{{- end }}
{{- end }}
{{- if and .Values.console.enabled .Values.platform.enabled }}
{{- $surfaces = append $surfaces (dict "name" "platform" "port" 8000 "service" "sympozium-platform" "hostname" .Values.platform.hostname) }}
{{- end }}
{{- toJson $surfaces }}
{{- end }}

{{- /* Those that have a host name, as the operator's setting. */}}
{{- define "sympozium.console.routes" -}}
{{- $routes := list }}
{{- range include "sympozium.console.surfaces" . | fromJsonArray }}
{{- if .hostname }}{{ $routes = append $routes (pick . "service" "port" "hostname") }}{{ end }}
{{- end }}
{{- if $routes }}{{ toJson $routes }}{{ end }}
{{- end }}
