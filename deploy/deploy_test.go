package deploy

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const chartDir = "helm/medispatcher"

var update = flag.Bool("update", false, "write kubernetes/*.yaml anew")

// everything switches on what is off by default, for the files that kustomization.yaml only mentions.
var everything = map[string]any{
	"networkPolicy":  map[string]any{"enabled": true},
	"serviceMonitor": map[string]any{"enabled": true},
	"prometheusRule": map[string]any{"enabled": true},
}

// variants are values that take every branch of the templates.
var variants = map[string]map[string]any{
	"default":    nil,
	"everything": everything,
	"secret":     {"secret": map[string]any{"MEDIS_REDIS_URL": "redis://r/", "MEDIS_ADMIN_TOKEN": "0123456789abcdef"}},
	"own settings": {
		"env": map[string]any{"MEDIS_PARTITIONS": 4}, "shutdownSeconds": 60,
		"imagePullSecrets": []any{map[string]any{"name": "registry"}}, "podAnnotations": map[string]any{"a": "b"},
		"nodeSelector": map[string]any{"disk": "ssd"}, "tolerations": []any{map[string]any{"operator": "Exists"}},
		"affinity":         map[string]any{"podAntiAffinity": map[string]any{}},
		"monitoringLabels": map[string]any{"release": "prometheus"},
		"serviceMonitor":   map[string]any{"enabled": true}, "prometheusRule": map[string]any{"enabled": true},
	},
	"nothing more": {"amender": map[string]any{"enabled": false}, "podDisruptionBudget": map[string]any{"enabled": false}},
}

func TestMain(m *testing.M) {
	slog.SetLogLoggerLevel(slog.LevelWarn) // the loader tells of each symbolic link
	flag.Parse()
	os.Exit(m.Run())
}

// render returns the manifests of the chart by the names of their templates.
func render(t *testing.T, values map[string]any) map[string]string {
	t.Helper()
	chart, err := loader.LoadDir(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := util.ToRenderValues(chart, values, common.ReleaseOptions{Name: "medispatcher", Namespace: "default", IsInstall: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := engine.Render(chart, all)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for name, text := range rendered {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(text) != "" {
			files[path.Base(name)] = strings.TrimSpace(text) + "\n"
		}
	}
	return files
}

// decode reads manifests as the API server does with strict field validation: an unknown or repeated field fails.
func decode(t *testing.T, text string) []runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		apps.AddToScheme, batch.AddToScheme, core.AddToScheme, networking.AddToScheme, policy.AddToScheme, monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	var objects []runtime.Object
	docs := yaml.NewDocumentDecoder(io.NopCloser(strings.NewReader(text)))
	for {
		doc := make([]byte, len(text)+1)
		n, err := docs.Read(doc)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(doc[:n], nil, nil)
		if err != nil {
			t.Errorf("%v in\n%s", err, doc[:n])
			continue
		}
		objects = append(objects, object)
	}
}

func TestChart(t *testing.T) {
	for name, values := range variants {
		t.Run(name, func(t *testing.T) {
			for _, m := range lint.RunAll(chartDir, values, "default").Messages {
				if m.Severity > support.InfoSev {
					t.Error(m)
				}
			}
			for _, text := range render(t, values) {
				decode(t, text)
			}
		})
	}
}

// TestUnitStartsAgain: a dispatcher that fails often, as while a machine lacks memory, is started again without end. By default
// systemd gives up after five failures within ten seconds.
func TestUnitStartsAgain(t *testing.T) {
	unit, err := os.ReadFile("systemd/medispatcher.service")
	if err != nil {
		t.Fatal(err)
	}
	head, service, _ := strings.Cut(string(unit), "[Service]")
	if !strings.Contains(head, "\nStartLimitIntervalSec=0\n") || !strings.Contains(service, "\nRestart=always\n") {
		t.Errorf("the unit gives up:\n%s", unit)
	}
}

// TestImageListens: on every address. 0.0.0.0 would be those of IPv4 alone, which a cluster with IPv6 alone does not have; without
// a host it is both, or IPv4 where the kernel has no IPv6.
func TestImageListens(t *testing.T) {
	image, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(image), "\nENV MEDIS_LISTEN=:5601\n") {
		t.Error("the image does not listen on :5601")
	}
}

// TestGracePeriod: Kubernetes waits for the hook and for MEDIS_SHUTDOWN_TIMEOUT before it kills.
func TestGracePeriod(t *testing.T) {
	for _, values := range []map[string]any{nil, {"shutdownSeconds": 60, "preStopSeconds": 15}} {
		pod := decode(t, render(t, values)["deployment.yaml"])[0].(*apps.Deployment).Spec.Template.Spec
		c := pod.Containers[0]
		if want := c.Lifecycle.PreStop.Sleep.Seconds + seconds(t, c.Env) + 5; *pod.TerminationGracePeriodSeconds != want {
			t.Errorf("terminationGracePeriodSeconds %d, want %d", *pod.TerminationGracePeriodSeconds, want)
		}
	}
}

// seconds is MEDIS_SHUTDOWN_TIMEOUT.
func seconds(t *testing.T, env []core.EnvVar) int64 {
	t.Helper()
	for _, v := range env {
		if v.Name == "MEDIS_SHUTDOWN_TIMEOUT" {
			d, err := time.ParseDuration(v.Value)
			if err != nil {
				t.Fatal(err)
			}
			return int64(d.Seconds())
		}
	}
	t.Fatal("MEDIS_SHUTDOWN_TIMEOUT is not set")
	return 0
}

// TestManifests holds kubernetes/*.yaml to what the chart makes, and builds kustomization.yaml.
func TestManifests(t *testing.T) {
	files := render(t, everything)
	for name, text := range files {
		file := filepath.Join("kubernetes", name)
		if *update {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, []byte(text)) {
			t.Errorf("%s is not what the chart makes (%v); go -C deploy test -run TestManifests -update writes it", file, err)
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, object := range decode(t, string(text)) {
		kinds[object.GetObjectKind().GroupVersionKind().Kind]++
	}
	want := []string{"CronJob", "Deployment", "PodDisruptionBudget", "Secret", "Service"}
	if have := slices.Sorted(maps.Keys(kinds)); !slices.Equal(have, want) {
		t.Errorf("kustomization.yaml makes %v, want %v", have, want)
	}
}
