{{/* Annotations of a pod. Takes a dict of root and own. Configuration is read again by itself when it
changes, so that no checksum of it makes pods anew. */}}
{{- define "sshark.podAnnotations" -}}
{{- $all := dict -}}
{{- if .root.Values.metrics.enabled -}}
{{- $all = dict "prometheus.io/scrape" "true" "prometheus.io/port" "9090" "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- with mergeOverwrite $all .own -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Where a pod runs. Takes the values of worker or hub. */}}
{{- define "sshark.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sshark.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "sshark.probes" -}}
livenessProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: http
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* The rule of a NetworkPolicy that lets Prometheus in. */}}
{{- define "sshark.metricsIngress" -}}
{{- if .Values.metrics.enabled }}
- from:
    {{- .Values.metrics.from | default (list (dict "namespaceSelector" dict)) | toYaml | nindent 4 }}
  ports:
    - {port: http, protocol: TCP}
{{- end }}
{{- end }}
