{{- /* Values of the console that cannot hold together, and the Secret of its Valkey or Redis. Templates take the root. */}}

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
{{- if and $limits (gt (int .replicas) 1) (not .redis.url) (not .redis.existingSecret) }}
{{- fail "console.replicas above 1 with console.limits needs console.redis.url or console.redis.existingSecret, in which the replicas count requests together" }}
{{- end }}
{{- if .redis.url }}sympozium-console-redis{{ else }}{{ .redis.existingSecret }}{{ end }}
{{- end }}
{{- end }}
