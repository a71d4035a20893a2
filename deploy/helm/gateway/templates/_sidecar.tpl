{{- /*
For a chart that has its own Deployment and this one among its dependencies, with `deployment: {enabled: false}`; each
takes `.Subcharts.gateway`:

  gateway.sidecar      an item of the pod's initContainers, before those that call out through the gateway
  gateway.volumes      items of its volumes
  gateway.appLifecycle the lifecycle of the app's container
  gateway.gracePeriod  its terminationGracePeriodSeconds
  gateway.podLabels    some of its labels
  gateway.podAnnotations  some of its annotations
*/ -}}
{{- define "gateway.sidecar" -}}
- name: gateway
  image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  restartPolicy: Always
  args: [run, --config, /etc/gateway/gateway.yaml]
  {{- with .Values.env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    {{- if include "gateway.hasIngress" . }}
    - {name: ingress, containerPort: {{ int .Values.ports.ingress }}}
    {{- end }}
    - {name: metrics, containerPort: {{ int .Values.ports.metrics }}}
  # The app's container starts when this has answered: it asks neither for a warm cache nor for the app.
  startupProbe:
    httpGet: {path: /livez, port: {{ int .Values.ports.metrics }}}
    periodSeconds: 1
    timeoutSeconds: 1
    failureThreshold: 60
  readinessProbe:
    httpGet: {path: /readyz, port: {{ int .Values.ports.metrics }}}
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: 2
  livenessProbe:
    httpGet: {path: /livez, port: {{ int .Values.ports.metrics }}}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  {{- if include "gateway.hasIngress" . }}
  lifecycle:
    preStop:
      exec:
        command: [gateway, drain, --config, /etc/gateway/gateway.yaml]
  {{- end }}
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  volumeMounts:
    - {name: gateway-config, mountPath: /etc/gateway, readOnly: true}
    {{- if .Values.secretName }}
    - {name: gateway-secrets, mountPath: /etc/gateway/secrets, readOnly: true}
    {{- end }}
{{- end }}

{{- define "gateway.volumes" -}}
- name: gateway-config
  configMap: {name: {{ include "gateway.fullname" . }}}
{{- with .Values.secretName }}
- name: gateway-secrets
  secret: {secretName: {{ . }}}
{{- end }}
{{- end }}

{{- define "gateway.appLifecycle" -}}
preStop:
  sleep: {seconds: {{ include "gateway.appWaits" . }}}
{{- end }}

{{- /* What the app's preStop takes, what the app has then, and the gateway's end: it has drained, where it has ingress. */ -}}
{{- define "gateway.gracePeriod" -}}
{{- $end := ternary 3 (add .Values.drain.timeout 3) (not (empty (include "gateway.hasIngress" .))) -}}
{{- add (include "gateway.appWaits" .) .Values.app.stopSeconds $end -}}
{{- end }}

{{- define "gateway.podLabels" -}}
gateway/sidecar: "true"
gateway/config: {{ include "gateway.fullname" . }}
{{- end }}

{{- define "gateway.podAnnotations" -}}
{{- if .Values.scrapeAnnotations -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .Values.ports.metrics | quote }}
prometheus.io/path: /metrics
{{- end -}}
{{- end }}
