{{- /* The archive of runs: which database the console has, and values that cannot hold together. Templates take the root. */}}

{{- /* "sqlite", "postgresql", or nothing without an archive. Fails with the message that says which value to change. */}}
{{- define "sympozium.archive" -}}
{{- with .Values.archive }}
{{- if .enabled }}
{{- if not $.Values.console.enabled }}
{{- fail "archive.enabled needs console.enabled=true, because the console keeps the archive" }}
{{- end }}
{{- if and .url .existingSecret }}
{{- fail "set archive.url or archive.existingSecret, not both" }}
{{- end }}
{{- if and .url (not (hasPrefix "postgresql+asyncpg://" .url)) }}
{{- fail "archive.url must begin with postgresql+asyncpg://, as in postgresql+asyncpg://user:password@host:5432/name; leave it empty for SQLite on a volume" }}
{{- end }}
{{- $postgresql := or .url .existingSecret }}
{{- if and (not $postgresql) (gt (int $.Values.console.replicas) 1) }}
{{- fail "console.replicas above 1 needs PostgreSQL (archive.url or archive.existingSecret), because one process alone writes a SQLite file" }}
{{- end }}
{{- $content := include "sympozium.seconds" .contentRetention | int64 }}
{{- $rows := include "sympozium.seconds" .retention | int64 }}
{{- if gt $content $rows }}
{{- fail "archive.contentRetention must not be above archive.retention, because a run's content goes with its row" }}
{{- end }}
{{- if lt $rows (include "sympozium.seconds" $.Values.runs.retention | int64) }}
{{- fail "archive.retention must not be below runs.retention, or runs would leave the archive before they leave Kubernetes" }}
{{- end }}
{{- ternary "postgresql" "sqlite" (not (empty $postgresql)) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Seconds of a duration such as 30d or 1h30m. */}}
{{- define "sympozium.seconds" -}}
{{- $duration := . }}
{{- $seconds := 0 }}
{{- range $unit, $of := dict "d" 86400 "h" 3600 "m" 60 "s" 1 }}
{{- with regexFind (printf "[0-9]+%s" $unit) $duration }}
{{- $seconds = add $seconds (mul (trimSuffix $unit . | int64) $of) }}
{{- end }}
{{- end }}
{{- $seconds }}
{{- end }}

{{- /* A volume's source: the URL as the file /etc/sympozium/database/url. Takes the Secret's name. */}}
{{- define "sympozium.archive.url" -}}
secret:
  secretName: {{ . }}
  items:
    - key: DATABASE_URL
      path: url
{{- end }}

{{- define "sympozium.archive.labels" -}}
{{ include "sympozium.labels" (dict "root" . "component" "archive") }}
{{- end }}

{{- /* The file with the URL: neither a variable nor an argument shows the password. */}}
{{- define "sympozium.archive.mounts" -}}
{{- if eq (include "sympozium.archive" .) "sqlite" -}}
- name: archive
  mountPath: /var/lib/sympozium
{{- else -}}
- name: database
  mountPath: /etc/sympozium/database
  readOnly: true
{{- end }}
{{- end }}

{{- /* The database's address, where it is no secret. */}}
{{- define "sympozium.archive.env" -}}
{{- if eq (include "sympozium.archive" .) "sqlite" -}}
- name: DATABASE_URL
  value: sqlite+aiosqlite:////var/lib/sympozium/archive.db
{{- end }}
{{- end }}

{{- /* By which ended runs are deleted: by the operator, or by the console where it has an archive. */}}
{{- define "sympozium.retention" -}}
- name: SYMPOZIUM_RUN_RETENTION
  value: {{ .Values.runs.retention | quote }}
- name: SYMPOZIUM_SHORTEST_RETENTION
  value: {{ .Values.runs.shortestRetention | quote }}
- name: SYMPOZIUM_KEY_RETENTION
  value: {{ .Values.runs.keyRetention | quote }}
- name: SYMPOZIUM_RUNS_KEPT
  value: {{ .Values.runs.kept | quote }}
- name: SYMPOZIUM_RUNS_KEPT_AT_MOST
  value: {{ .Values.runs.keptAtMost | int | quote }}
- name: SYMPOZIUM_STORED_BYTES
  value: {{ .Values.runs.storedBytes | quote }}
{{- end }}
