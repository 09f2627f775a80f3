{{/* A quantity such as 512Mi, 2G or 1.5Gi in whole MiB, rounded down. */}}
{{- define "sshark.mebibytes" -}}
{{- $number := regexFind "^[0-9.]+" (toString .) -}}
{{- $unit := trimPrefix $number (toString .) -}}
{{- $units := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 -}}
{{- if not (hasKey $units $unit) -}}
{{- fail (printf "%q is no size that sshark can compute with: use Mi or Gi" (toString .)) -}}
{{- end -}}
{{- divf (mulf (float64 $number) (get $units $unit)) 1048576.0 | floor | int64 -}}
{{- end -}}

{{/* The size at which the kubelet evicts a worker whose store is an emptyDir. The store never
passes sizeMB, so a tenth more, and at least 512 MiB, is never reached. */}}
{{- define "sshark.storeLimitMiB" -}}
{{- $size := int64 .Values.store.sizeMB -}}
{{- add $size (max 512 (div $size 10)) -}}
{{- end -}}

{{/* The soft limit of Go's heap: what memory is left of the container's limit, less a fifth for
what the heap's limit does not count. Takes a dict of resources and taken (MiB). */}}
{{- define "sshark.goMemoryLimit" -}}
{{- $limit := int64 (include "sshark.mebibytes" .resources.limits.memory) -}}
{{- printf "%dMiB" (div (mul (sub $limit (int64 .taken)) 4) 5) -}}
{{- end -}}

{{/* What a schema cannot say. Prints nothing. */}}
{{- define "sshark.validate" -}}
{{- $worker := dig "limits" "memory" "" (.Values.worker.resources | default dict) -}}
{{- if $worker -}}
{{- $need := add (int64 .Values.capture.ringMB) 128 -}}
{{- if lt (int64 (include "sshark.mebibytes" $worker)) $need -}}
{{- fail (printf "worker.resources.limits.memory is %s, but the ring of capture.ringMB counts to it: want %dMi or more" $worker $need) -}}
{{- end -}}
{{- end -}}
{{- $disk := dig "limits" "ephemeral-storage" "" (.Values.worker.resources | default dict) -}}
{{- if and $disk (eq .Values.store.type "emptyDir") -}}
{{- $need := include "sshark.storeLimitMiB" . | int64 -}}
{{- if lt (int64 (include "sshark.mebibytes" $disk)) $need -}}
{{- fail (printf "worker.resources.limits.ephemeral-storage is %s, but a store of %v MB in an emptyDir counts to it, and the pod would be evicted: want %dMi or more" $disk .Values.store.sizeMB $need) -}}
{{- end -}}
{{- end -}}
{{- $data := .Values.hub.persistence -}}
{{- if not $data.existingClaim -}}
{{- $need := add (int64 .Values.hub.snapshotsMB) 1024 -}}
{{- if lt (int64 (include "sshark.mebibytes" $data.size)) $need -}}
{{- fail (printf "hub.persistence.size is %s, but snapshots may have %v MB of it (hub.snapshotsMB) and exports need some too: want %dMi or more" $data.size .Values.hub.snapshotsMB $need) -}}
{{- end -}}
{{- end -}}
{{- with .Values.tls.existingSecrets -}}
{{- if ne (empty .worker) (empty .hub) -}}
{{- fail "tls.existingSecrets: name both worker and hub, of one CA, or neither" -}}
{{- end -}}
{{- if and .worker $.Values.tls.certManager.enabled -}}
{{- fail "tls: either existingSecrets or certManager.enabled, not both" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.auth.existingSecret (or .Values.auth.authorizedKeys .Values.auth.userCA) -}}
{{- fail "auth: either existingSecret or authorizedKeys and userCA, not both" -}}
{{- end -}}
{{- end -}}
