package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/robfig/cron/v3"
	"go.yaml.in/yaml/v3"
)

// The examples are shipped to be copied, so they are held to the program: their command
// lines are ones that it takes, and what they say of it is true.

func example(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// unitFile is what a unit says: by section and key, in order.
type unitFile map[string]map[string][]string

// unitKeys are what a section may say: a key that is misspelt would silently not hold.
var unitKeys = map[string][]string{
	"Unit":    {"Description", "Wants", "After"},
	"Timer":   {"OnCalendar", "Persistent"},
	"Install": {"WantedBy"},
	"Service": {"Type", "ExecStart", "EnvironmentFile", "User", "Group", "StateDirectory", "WorkingDirectory", "ReadWritePaths",
		"Restart", "RestartSec", "RestartPreventExitStatus", "SuccessExitStatus", "TimeoutStopSec", "UMask", "NoNewPrivileges",
		"CapabilityBoundingSet", "LockPersonality", "MemoryDenyWriteExecute", "PrivateDevices", "PrivateTmp", "ProtectClock",
		"ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules",
		"ProtectKernelTunables", "ProtectSystem", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime",
		"RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter"},
}

func readUnit(t *testing.T, name string) unitFile {
	t.Helper()
	unit, section := make(unitFile), ""
	for i, line := range strings.Split(example(t, name), "\n") {
		key, value, isKey := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			unit[section] = make(map[string][]string)
		case !isKey || !slices.Contains(unitKeys[section], key):
			t.Errorf("%s line %d: %q in section %q", name, i+1, line, section)
		default:
			unit[section][key] = append(unit[section][key], value)
		}
	}
	return unit
}

var services = []string{"systemd/calends.service", "systemd/calends-run.service"}

// The parts of manifests that the examples use; anything else is an error.
type (
	meta struct {
		Name                string
		Labels, Annotations map[string]string
	}
	deployment struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   meta
		Spec       struct {
			Replicas int
			Selector struct {
				MatchLabels map[string]string `yaml:"matchLabels"`
			}
			Template podTemplate
		}
	}
	cronJob struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   meta
		Spec       struct {
			Schedule                   string
			TimeZone                   string `yaml:"timeZone"`
			ConcurrencyPolicy          string `yaml:"concurrencyPolicy"`
			StartingDeadlineSeconds    int    `yaml:"startingDeadlineSeconds"`
			SuccessfulJobsHistoryLimit int    `yaml:"successfulJobsHistoryLimit"`
			FailedJobsHistoryLimit     int    `yaml:"failedJobsHistoryLimit"`
			JobTemplate                struct {
				Spec struct {
					BackoffLimit *int `yaml:"backoffLimit"`
					Template     podTemplate
				}
			} `yaml:"jobTemplate"`
		}
	}
	podTemplate struct {
		Metadata meta
		Spec     struct {
			RestartPolicy                 string `yaml:"restartPolicy"`
			TerminationGracePeriodSeconds int    `yaml:"terminationGracePeriodSeconds"`
			AutomountServiceAccountToken  *bool  `yaml:"automountServiceAccountToken"`
			SecurityContext               struct {
				RunAsNonRoot   bool `yaml:"runAsNonRoot"`
				RunAsUser      int  `yaml:"runAsUser"`
				FSGroup        int  `yaml:"fsGroup"`
				SeccompProfile struct {
					Type string
				} `yaml:"seccompProfile"`
			} `yaml:"securityContext"`
			Containers []container
			Volumes    []volume
		}
	}
	volume struct {
		Name      string
		ConfigMap *struct{ Name string } `yaml:"configMap"`
		EmptyDir  *struct {
			SizeLimit string `yaml:"sizeLimit"`
		} `yaml:"emptyDir"`
	}
	container struct {
		Name, Image string
		Args        []string
		EnvFrom     []struct {
			SecretRef struct{ Name string } `yaml:"secretRef"`
		} `yaml:"envFrom"`
		Ports []struct {
			Name          string
			ContainerPort int `yaml:"containerPort"`
		}
		LivenessProbe   *probe `yaml:"livenessProbe"`
		ReadinessProbe  *probe `yaml:"readinessProbe"`
		Resources       struct{ Requests, Limits map[string]string }
		SecurityContext struct {
			AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
			Capabilities             struct{ Drop []string }
		} `yaml:"securityContext"`
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	probe struct {
		HTTPGet struct{ Path, Port string } `yaml:"httpGet"`

		PeriodSeconds    int `yaml:"periodSeconds"`
		TimeoutSeconds   int `yaml:"timeoutSeconds"`
		FailureThreshold int `yaml:"failureThreshold"`
	}
)

func readManifest[T any](t *testing.T, name string) (manifest T) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(example(t, name)))
	d.KnownFields(true)
	if err := d.Decode(&manifest); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return manifest
}

// commandLines are those of all examples, without the program's name.
func commandLines(t *testing.T) map[string][]string {
	t.Helper()
	lines := make(map[string][]string)
	for _, name := range services {
		exec := readUnit(t, name)["Service"]["ExecStart"]
		if len(exec) != 1 {
			t.Fatalf("%s: starts %q, want one program", name, exec)
		}
		words := strings.Fields(exec[0])
		if words[0] != "/usr/local/bin/calends" {
			t.Errorf("%s: starts %s", name, words[0])
		}
		lines[name] = words[1:]
	}
	lines["kubernetes/deployment.yaml"] = readManifest[deployment](t, "kubernetes/deployment.yaml").Spec.Template.Spec.Containers[0].Args
	lines["kubernetes/cronjob.yaml"] = readManifest[cronJob](t, "kubernetes/cronjob.yaml").Spec.JobTemplate.Spec.Template.Spec.Containers[0].Args
	return lines
}

func TestExampleCommandLines(t *testing.T) {
	t.Parallel()
	for name, args := range commandLines(t) {
		var line cli
		parser, err := kong.New(&line, kong.Name("calends"), kong.NoDefaultHelp(), kong.Writers(io.Discard, io.Discard))
		if err != nil {
			t.Fatal(err)
		}
		command, err := parser.Parse(args)
		if err != nil {
			t.Errorf("%s: calends %s: %v", name, strings.Join(args, " "), err)
			continue
		}
		want := "schedule"
		if strings.Contains(name, "run") || strings.Contains(name, "cron") {
			want = "run"
		}
		if got, _, _ := strings.Cut(command.Command(), " "); got != want {
			t.Errorf("%s: runs %s, want %s", name, got, want)
		}
		if line.Globals.Config != "/etc/calends/calends.yaml" || line.Globals.LogFormat != "json" {
			t.Errorf("%s: reads %s, logs %s", name, line.Globals.Config, line.Globals.LogFormat)
		}
	}
}

// valueOf is what follows a flag.
func valueOf(args []string, flag string) string {
	if i := slices.Index(args, flag); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

func TestExampleUnits(t *testing.T) {
	t.Parallel()
	for _, name := range services {
		unit := readUnit(t, name)
		service := unit["Service"]
		success := strings.Fields(strings.Join(service["SuccessExitStatus"], " "))
		if !slices.Contains(success, strconv.Itoa(exitStopped)) {
			t.Errorf("%s: a stop on request counts as a failure", name)
		}
		switch service["Type"][0] {
		case "exec":
			if service["Restart"][0] != "on-failure" || service["RestartPreventExitStatus"][0] != strconv.Itoa(exitUsage) {
				t.Errorf("%s: it is not started again, or is for a bad configuration", name)
			}
		case "oneshot":
			for _, code := range []int{exitOpen, exitLocked} {
				if !slices.Contains(success, strconv.Itoa(code)) {
					t.Errorf("%s: exit code %d counts as a failure", name, code)
				}
			}
			if file := valueOf(strings.Fields(service["ExecStart"][0]), "--metrics-file"); "-"+filepath.Dir(file) != service["ReadWritePaths"][0] {
				t.Errorf("%s: may write to %s, and writes %s", name, service["ReadWritePaths"], file)
			}
		default:
			t.Errorf("%s: type %s", name, service["Type"])
		}
	}
	if timer := readUnit(t, "systemd/calends-run.timer"); len(timer["Timer"]["OnCalendar"]) != 1 || timer["Install"]["WantedBy"][0] != "timers.target" {
		t.Errorf("the timer is %v", timer)
	}
}

// TestExampleUnitsBySystemd asks systemd itself, where there is one.
func TestExampleUnitsBySystemd(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, name := range append(slices.Clone(services), "systemd/calends-run.timer") {
		// It looks whether the program is there, which it is only where it was installed.
		unit := strings.ReplaceAll(example(t, name), "/usr/local/bin/calends", program)
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(name)), []byte(unit), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range append(slices.Clone(services), "systemd/calends-run.timer") {
		var said bytes.Buffer
		verify := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", filepath.Join(folder, filepath.Base(name)))
		verify.Stdout, verify.Stderr = &said, &said
		if err := verify.Run(); err != nil || said.Len() > 0 {
			t.Errorf("%s: %v %s", name, err, &said)
		}
	}
}

func TestExampleManifests(t *testing.T) {
	t.Parallel()
	d := readManifest[deployment](t, "kubernetes/deployment.yaml")
	c := readManifest[cronJob](t, "kubernetes/cronjob.yaml")
	if d.APIVersion != "apps/v1" || d.Kind != "Deployment" || c.APIVersion != "batch/v1" || c.Kind != "CronJob" {
		t.Errorf("they are %s %s and %s %s", d.APIVersion, d.Kind, c.APIVersion, c.Kind)
	}
	pods := map[string]podTemplate{"deployment": d.Spec.Template, "cronjob": c.Spec.JobTemplate.Spec.Template}
	for name, pod := range pods {
		checkPod(t, name, pod)
	}
	if fmt.Sprint(d.Spec.Selector.MatchLabels) != fmt.Sprint(d.Spec.Template.Metadata.Labels) {
		t.Error("the deployment does not select its own pods")
	}
	main := d.Spec.Template.Spec.Containers[0]
	port := strconv.Itoa(main.Ports[0].ContainerPort)
	if valueOf(main.Args, "--listen") != "0.0.0.0:"+port || d.Spec.Template.Metadata.Annotations["prometheus.io/port"] != port {
		t.Errorf("it listens at %s, and is asked at %s", valueOf(main.Args, "--listen"), port)
	}
	for path, p := range map[string]*probe{"/healthz": main.LivenessProbe, "/readyz": main.ReadinessProbe} {
		if p == nil || p.HTTPGet.Path != path || p.HTTPGet.Port != main.Ports[0].Name || p.TimeoutSeconds < 5 {
			t.Errorf("it is asked %s by %+v", path, p)
		}
	}
	if _, err := cron.ParseStandard(c.Spec.Schedule); err != nil || c.Spec.ConcurrencyPolicy != "Forbid" {
		t.Errorf("it runs at %s (%v), concurrency %s", c.Spec.Schedule, err, c.Spec.ConcurrencyPolicy)
	}
	if limit := c.Spec.JobTemplate.Spec.BackoffLimit; limit == nil || *limit != 0 || pods["cronjob"].Spec.RestartPolicy != "Never" {
		t.Error("Kubernetes tries again at once what the schedule would try after a while")
	}
}

// checkPod holds a pod to what the program needs, and to no more.
func checkPod(t *testing.T, name string, pod podTemplate) {
	t.Helper()
	main := pod.Spec.Containers[0]
	may := main.SecurityContext.AllowPrivilegeEscalation
	token := pod.Spec.AutomountServiceAccountToken
	if !pod.Spec.SecurityContext.RunAsNonRoot || !main.SecurityContext.ReadOnlyRootFilesystem || may == nil || *may || token == nil || *token {
		t.Errorf("%s: it may more than it needs", name)
	}
	if pod.Spec.TerminationGracePeriodSeconds < 60 {
		t.Errorf("%s: it has %d s to stop", name, pod.Spec.TerminationGracePeriodSeconds)
	}
	config, temporary := false, false
	for _, mount := range main.VolumeMounts {
		i := slices.IndexFunc(pod.Spec.Volumes, func(v volume) bool { return v.Name == mount.Name })
		if i < 0 {
			t.Errorf("%s: nothing is mounted at %s", name, mount.MountPath)
			continue
		}
		volume := pod.Spec.Volumes[i]
		config = config || volume.ConfigMap != nil && mount.MountPath == filepath.Dir(valueOf(main.Args, "--config"))
		temporary = temporary || volume.EmptyDir != nil && mount.MountPath == "/tmp"
	}
	if !config || !temporary || len(pod.Spec.Volumes) != len(main.VolumeMounts) {
		t.Errorf("%s: the configuration or a folder for temporary files is missing", name)
	}
}

// TestExampleList: the README names each example, and each example that it names is there.
func TestExampleList(t *testing.T) {
	t.Parallel()
	readme := example(t, "README.md")
	files, err := filepath.Glob("examples/*/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		name, _ = filepath.Rel("examples", name)
		if !strings.Contains(readme, "("+name+")") {
			t.Errorf("README.md does not name %s", name)
		}
	}
	for _, part := range strings.Split(readme, "](")[1:] {
		name, _, _ := strings.Cut(part, ")")
		if _, err := os.Stat(filepath.Join("examples", name)); err != nil {
			t.Errorf("README.md: %v", err)
		}
	}
}
