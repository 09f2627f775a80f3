{{/* What this release's objects are called: the release, with "sshark" in it once. */}}
{{- define "sshark.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "sshark.worker" -}}{{ include "sshark.fullname" . }}-worker{{- end -}}
{{- define "sshark.hub" -}}{{ include "sshark.fullname" . }}-hub{{- end -}}

{{/* Labels that selectors use: they never change. Takes a dict of root and component. */}}
{{- define "sshark.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of every object. Takes a dict of root and component. */}}
{{- define "sshark.labels" -}}
{{ include "sshark.selector" . }}
app.kubernetes.io/part-of: sshark
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sshark.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Secrets: the user's own, or those that the chart or cert-manager makes. */}}
{{- define "sshark.workerTLS" -}}{{ .Values.tls.existingSecrets.worker | default (printf "%s-tls" (include "sshark.worker" .)) }}{{- end -}}
{{- define "sshark.hubTLS" -}}{{ .Values.tls.existingSecrets.hub | default (printf "%s-tls" (include "sshark.hub" .)) }}{{- end -}}
{{- define "sshark.hostKeys" -}}{{ .Values.hostKeys.existingSecret | default (printf "%s-host-keys" (include "sshark.hub" .)) }}{{- end -}}
{{- define "sshark.auth" -}}{{ .Values.auth.existingSecret | default (printf "%s-auth" (include "sshark.hub" .)) }}{{- end -}}
