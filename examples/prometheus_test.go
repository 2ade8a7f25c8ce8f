package examples_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
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

// TestAlerts checks that the file is a rule file and names only metrics of docs/observability.md.
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
	doc, err := os.ReadFile("../docs/observability.md")
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

// TestEachAlertIsTested, both firing and silent.
func TestEachAlertIsTested(t *testing.T) {
	var r rules
	read(t, "prometheus/alerts.yaml", &r)
	var tests struct {
		Tests []struct {
			Cases []struct {
				Name string `yaml:"alertname"`
				Want []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	read(t, "prometheus/alerts_test.yaml", &tests)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, c := range test.Cases {
			if len(c.Want) > 0 {
				fires[c.Name] = true
			} else {
				silent[c.Name] = true
			}
		}
	}
	for _, g := range r.Groups {
		for _, rule := range g.Rules {
			if !fires[rule.Alert] || !silent[rule.Alert] {
				t.Errorf("%s: tested firing: %t, silent: %t", rule.Alert, fires[rule.Alert],
					silent[rule.Alert])
			}
		}
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// promtool runs Prometheus's own checks.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	partstest.Need(t, parts.NamePromtool)
	out, err := exec.CommandContext(t.Context(), parts.NamePromtool, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAlertRules runs the tests of the alerts.
func TestAlertRules(t *testing.T) { promtool(t, "test", "rules", "prometheus/alerts_test.yaml") }

// dashboard is the part of a dashboard of Grafana's that has queries.
type dashboard struct {
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

// queries returns the dashboard's queries as Grafana sends them.
func queries(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("prometheus/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*")
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			expr := variables.Replace(q.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: %s", p.Title, expr)
			}
			all = append(all, expr)
		}
	}
	return all
}

// TestDashboardNamesMetrics that the server has, and all of those that count something.
func TestDashboardNamesMetrics(t *testing.T) {
	doc, err := os.ReadFile("../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range regexp.MustCompile("`((?:pinion|process|go)_[a-z_]+)").FindAllStringSubmatch(
		string(doc), -1) {
		known[m[1]] = true
	}
	shown := map[string]bool{}
	for _, expr := range queries(t) {
		names := regexp.MustCompile(`\b(?:pinion|process|go)_[a-z_]+`).FindAllString(expr, -1)
		if len(names) == 0 {
			t.Errorf("no metric is in %s", expr)
		}
		for _, name := range names {
			name = strings.TrimSuffix(name, "_bucket")
			if shown[name] = true; !known[name] {
				t.Errorf("the server has no %s", name)
			}
		}
	}
	none := []string{"pinion_build_info", "pinion_pruned_images_total", "pinion_prunes_total",
		"process_start_time_seconds"}
	for name := range known {
		if !shown[name] && !slices.Contains(none, name) {
			t.Errorf("%s is not on the dashboard", name)
		}
	}
}

// TestDashboardLayout checks what Grafana does not forgive: each panel has a number of its own, a
// known kind, a place that no other one has, and queries of the data source that is a variable.
func TestDashboardLayout(t *testing.T) {
	text, err := os.ReadFile("prometheus/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID, Title    string
		SchemaVersion int
		Templating    struct{ List []struct{ Name, Type string } }
		Panels        []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Datasource  struct{ Type, UID string }
			Targets     []struct{ RefID string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 36 || len(d.Templating.List) == 0 {
		t.Errorf("the dashboard is %+v", d)
	}
	numbers, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if numbers[p.ID] || p.ID == 0 {
			t.Errorf("%s has the number %d of another", p.Title, p.ID)
		}
		numbers[p.ID] = true
		if !slices.Contains([]string{"row", "stat", "timeseries", "table", "gauge", "bargauge",
			"state-timeline"}, p.Type) {
			t.Errorf("%s is a %q", p.Title, p.Type)
		}
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s is at %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] || q.RefID == "" {
				t.Errorf("%s has two queries %q", p.Title, q.RefID)
			}
			refs[q.RefID] = true
		}
		if p.Type != "row" && (len(p.Targets) == 0 || !slices.ContainsFunc(d.Templating.List,
			func(v struct{ Name, Type string }) bool {
				return v.Type == "datasource" && strings.Trim(p.Datasource.UID, "${}") == v.Name
			})) {
			t.Errorf("%s asks %+v, which is no variable", p.Title, p.Datasource)
		}
	}
}

// TestDashboardQueries: Prometheus understands each of them.
func TestDashboardQueries(t *testing.T) {
	var text strings.Builder
	text.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, expr := range queries(t) {
		fmt.Fprintf(&text, "  - record: dashboard:query%d\n    expr: %q\n", i, expr)
	}
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", path)
}
