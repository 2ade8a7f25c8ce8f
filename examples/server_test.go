package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rules is the part of Prometheus's rule files that describes alerts.
type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// TestAlerts checks that the file is a rule file and names only metrics of docs/server.md.
func TestAlerts(t *testing.T) {
	file, err := os.Open("prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dec := yaml.NewDecoder(file)
	dec.KnownFields(true)
	var r rules
	if err := dec.Decode(&r); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../docs/server.md")
	if err != nil {
		t.Fatal(err)
	}
	metric := regexp.MustCompile(`pinion_[a-z_]+`)
	n := 0
	for _, g := range r.Groups {
		for _, rule := range g.Rules {
			n++
			names := metric.FindAllString(rule.Expr, -1)
			if rule.Alert == "" || rule.Annotations["summary"] == "" ||
				rule.Labels["severity"] == "" ||
				len(names) == 0 && !strings.Contains(rule.Expr, "up{") {
				t.Errorf("%+v", rule)
			}
			if strings.Count(rule.Expr, "(") != strings.Count(rule.Expr, ")") {
				t.Errorf("%s: %s", rule.Alert, rule.Expr)
			}
			for _, name := range names {
				if !strings.Contains(string(doc), "`"+strings.TrimSuffix(name, "_bucket")) {
					t.Errorf("%s names %s", rule.Alert, name)
				}
			}
		}
	}
	if n == 0 {
		t.Error("no alerts")
	}
}

// TestAlertRules runs the tests of the alerts with Prometheus's promtool if it is installed.
func TestAlertRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	out, err := exec.CommandContext(t.Context(), promtool, "test", "rules",
		"prometheus/alerts_test.yaml").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSystemdUnit verifies the unit with systemd if it is installed.
func TestSystemdUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	text, err := os.ReadFile("systemd/pinion.service")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := os.ReadFile("systemd/pinion.socket")
	if err != nil {
		t.Fatal(err)
	}
	// Pinion may not be installed on this machine.
	dir := t.TempDir()
	installed := strings.Replace(string(text), "/usr/local/bin/pinion", "/bin/true", 1)
	for name, text := range map[string]string{"pinion.service": installed,
		"pinion.socket": string(socket)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"pinion.service", "pinion.socket"} {
		out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no",
			filepath.Join(dir, name)).CombinedOutput()
		if err != nil || strings.Contains(string(out), dir) {
			t.Errorf("%v\n%s", err, out)
		}
	}
	// The exposure is below 2.0 of 10.
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true",
		"--threshold=20", filepath.Join(dir, "pinion.service")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
