{{- /* What the gateway reads: the values' config, and what the chart itself knows. */ -}}
{{- define "gateway.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if not $config -}}
{{-   $route := dict "name" "app" "path" "/**" "upstream" "app" -}}
{{-   $app := dict "url" (printf "http://127.0.0.1:%d" (int .Values.app.port)) -}}
{{-   $config = dict "ingress" (dict "routes" (list $route)) "upstreams" (dict "app" $app) -}}
{{- end -}}
{{- $ports := .Values.ports -}}
{{- $known := dict
      "metrics" (dict "bind" (printf ":%d" (int $ports.metrics)))
      "admin" (dict "bind" (printf "127.0.0.1:%d" (int $ports.admin))) -}}
{{- if $config.ingress -}}
{{-   $_ := set $known "ingress" (dict "bind" (printf ":%d" (int $ports.ingress))) -}}
{{- end -}}
{{- if $config.egress -}}
{{-   $_ := set $known "egress" (dict "bind" (printf "127.0.0.1:%d" (int $ports.egress))) -}}
{{- end -}}
{{- /* Without ingress nobody has to notice first: SIGTERM comes when the app has gone. */ -}}
{{- $delay := ternary (int .Values.drain.delay) 0 (not (empty $config.ingress)) -}}
{{- $_ := set $known "drain" (dict "delay" (printf "%ds" $delay) "timeout" (printf "%ds" (int .Values.drain.timeout))) -}}
{{- toYaml (mergeOverwrite $config $known) -}}
{{- end }}

{{- /* Not empty where the gateway stands in front of the app too. */ -}}
{{- define "gateway.hasIngress" -}}
{{- if or (not .Values.config) .Values.config.ingress }}yes{{ end -}}
{{- end }}

{{- /* Seconds that the app's container waits before its SIGTERM: until ingress must have drained, and 5 for the command
to begin on a busy node; without ingress, until everybody knows that the pod ends. */ -}}
{{- define "gateway.appWaits" -}}
{{- if include "gateway.hasIngress" . -}}
{{- add .Values.drain.delay .Values.drain.timeout 5 -}}
{{- else -}}
5
{{- end -}}
{{- end }}
