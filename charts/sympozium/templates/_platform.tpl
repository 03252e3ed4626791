{{- /* The agent platform API: its variables, whose names are fixed. Templates take the root. */}}

{{- define "sympozium.platform.env" -}}
{{- with .Values.platform }}
{{- if gt (int .toolTimeout.default) (int .toolTimeout.longest) }}
{{- fail "platform.toolTimeout.default must not exceed platform.toolTimeout.longest" }}
{{- end }}
- name: SYMPOZIUM_PLATFORM
  value: "true"
- name: JWT_ALGORITHM
  value: {{ .tokens.algorithm }}
- name: JWT_ISSUER
  value: {{ .tokens.issuer | quote }}
- name: JWT_AUDIENCE
  value: {{ .tokens.audience | quote }}
{{- if .tokens.test }}
- name: ALLOW_TEST_TOKENS
  value: "true"
- name: SYMPOZIUM_PLATFORM_TEST_NAMESPACE
  value: {{ .tokens.testNamespace }}
{{- end }}
- name: RATE_LIMIT_DEFAULT
  value: {{ .limits.requests }}
- name: RATE_LIMIT_RUNS
  value: {{ .limits.runs }}
- name: SYMPOZIUM_PLATFORM_MAX_AGENTS
  value: {{ .limits.agents | int | quote }}
- name: SYMPOZIUM_PLATFORM_MAX_VERSIONS
  value: {{ .limits.versions | int | quote }}
- name: SYMPOZIUM_PLATFORM_MAX_TOOLS
  value: {{ .limits.tools | int | quote }}
- name: SYMPOZIUM_PLATFORM_MAX_BINDINGS
  value: {{ .limits.bindings | int | quote }}
- name: SYMPOZIUM_PLATFORM_MAX_STREAMS
  value: {{ .limits.streams | int | quote }}
- name: PYDANTICAI_DEFAULT_MODEL
  value: {{ .defaultModel | quote }}
- name: TOOL_DEFAULT_TIMEOUT_MS
  value: {{ .toolTimeout.default | int | quote }}
- name: TOOL_MAX_TIMEOUT_MS
  value: {{ .toolTimeout.longest | int | quote }}
- name: SSE_KEEPALIVE_SECONDS
  value: {{ .keepAliveSeconds | int | quote }}
{{- end }}
{{- end }}
