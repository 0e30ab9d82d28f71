{{- define "medispatcher.labels" -}}
app.kubernetes.io/name: medispatcher
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "medispatcher.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The rights of a pod: none. */}}
{{- define "medispatcher.pod" -}}
automountServiceAccountToken: false
# Otherwise Kubernetes sets variables MEDIS_… for a service that is called medis.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "medispatcher.container" -}}
image: {{ include "medispatcher.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
envFrom:
  - secretRef: {name: {{ include "medispatcher.secret" . }}}
env:
  - {name: MEDIS_SHUTDOWN_TIMEOUT, value: {{ .Values.shutdownSeconds }}s}
{{- range $name, $value := .Values.env }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "medispatcher.secret" -}}
{{ if .Values.secret }}{{ .Release.Name }}{{ else }}{{ .Values.existingSecret }}{{ end }}
{{- end }}
