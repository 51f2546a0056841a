package metrics

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"orthanc-bucketfs/backends"
)

// monitoring is what the package brings for Prometheus and Grafana.
const monitoring = "../../../systemd/monitoring"

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(monitoring, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Prometheus' own tool reads the alerts, and tries them on made-up series.
func TestAlerts(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no promtool (Debian: prometheus)")
		}
		t.Skip("there is no promtool (Debian: prometheus)")
	}
	for _, args := range [][]string{
		{"check", "rules", "--lint-fatal", "alerts.yaml"},
		{"test", "rules", "alerts_test.yaml"},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = monitoring
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// Every alert says how urgent it is and what to do, as the README does, and has
// fired in a test.
func TestEveryAlert(t *testing.T) {
	tests, readme := readText(t, "alerts_test.yaml"), readText(t, "../../README.md")
	rules := strings.Split(readText(t, "alerts.yaml"), "- alert: ")[1:]
	if len(rules) == 0 {
		t.Fatal("there are no alerts")
	}
	for _, rule := range rules {
		name, _, _ := strings.Cut(rule, "\n")
		severity := regexp.MustCompile(`\n +severity: (critical|warning|info)\n`).FindStringSubmatch(rule)
		if severity == nil {
			t.Fatalf("%s has no known severity", name)
		}
		for _, want := range []string{"summary: ", "description: ", `documentation: "README.md, What to watch, ` + name + `"`} {
			if !strings.Contains(rule, "\n          "+want) {
				t.Errorf("%s has no %s", name, want)
			}
		}
		fires := `ALERTS{alertname="` + name + `",alertstate="firing",severity="` + severity[1] + `"`
		if !strings.Contains(tests, fires) && !strings.Contains(tests, "- alertname: "+name+"\n") {
			t.Errorf("%s fires in no test", name)
		}
		if !strings.Contains(readme, "`"+name+"`") {
			t.Errorf("README.md does not say what %s means", name)
		}
	}
}

// known are names of metrics, for each the labels, for each the values seen.
type known map[string]map[string][]string

// knownMetrics are those of a mount that has done one of everything.
func knownMetrics(t *testing.T) known {
	t.Helper()
	m, _ := watched(t)
	m.Request(backends.Request{Method: "PUT", Status: 200})
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	k := known{"up": {}}
	for _, family := range families {
		labels := map[string][]string{}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = append(labels[label.GetName()], label.GetValue())
			}
		}
		k[family.GetName()] = labels
		if strings.HasSuffix(family.GetName(), "_seconds") {
			k[family.GetName()+"_bucket"] = labels
		}
	}
	return k
}

// expressions returns those of the alerts and of the dashboard.
func expressions(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, rule := range strings.Split(readText(t, "alerts.yaml"), "        expr: ")[1:] {
		expression, _, _ := strings.Cut(rule, "\n        labels:")
		expression, _, _ = strings.Cut(expression, "\n        for:")
		found = append(found, expression)
	}
	var dashboard any
	if err := json.Unmarshal([]byte(readText(t, "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	return append(found, collect(dashboard)...)
}

// collect returns the expressions and the queries of variables in a dashboard.
func collect(v any) (found []string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			found = append(found, collect(item)...)
		}
	case map[string]any:
		for name, item := range v {
			if text, isText := item.(string); isText && (name == "expr" || name == "query" && text != "prometheus") {
				found = append(found, text)
				continue
			}
			found = append(found, collect(item)...)
		}
	}
	return found
}

var (
	selectors = regexp.MustCompile(`\b((?:orthanc_bucketfs|process|go)_[a-z_]+|up)\b(?:\{([^}]*)\})?`)
	matchers  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	groupings = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
)

// Alerts and dashboard ask for metrics, labels and outcomes that exist: others
// would be silent for ever.
func TestMonitoringAsksForWhatExists(t *testing.T) {
	k := knownMetrics(t)
	all := expressions(t)
	if len(all) < 40 {
		t.Fatalf("%d expressions were found", len(all))
	}
	for _, expression := range all {
		found := selectors.FindAllStringSubmatch(expression, -1)
		if len(found) == 0 {
			t.Errorf("no metric was found in %s", expression)
		}
		for _, selector := range found {
			k.wantSelector(t, selector[1], selector[2])
		}
		for _, grouping := range groupings.FindAllStringSubmatch(expression, -1) {
			for label := range strings.SplitSeq(grouping[1], ", ") {
				if !k.hasLabel(found, label) {
					t.Errorf("no metric has the label %s of %s", label, expression)
				}
			}
		}
	}
}

func (k known) wantSelector(t *testing.T, name, labels string) {
	t.Helper()
	if _, exists := k[name]; !exists {
		t.Errorf("there is no metric %s", name)
	}
	for _, matcher := range matchers.FindAllStringSubmatch(labels, -1) {
		label, values := matcher[1], matcher[2]
		seen, exists := k[name][label]
		if label == "instance" || label == "job" {
			continue // Prometheus adds them
		}
		if label == "status" {
			seen = append(seen, outcomes()...)
		}
		for value := range strings.SplitSeq(values, "|") {
			code := label == "status" && strings.Trim(value, "0123456789.") == ""
			if !exists || !code && !slices.Contains(seen, value) {
				t.Errorf("%s is never with %s=%q", name, label, value)
			}
		}
	}
}

// hasLabel tells whether one of the metrics that were found has a label.
func (k known) hasLabel(found [][]string, label string) bool {
	if slices.Contains([]string{"instance", "job", "le"}, label) {
		return true
	}
	return slices.ContainsFunc(found, func(selector []string) bool {
		_, has := k[selector[1]][label]
		return has
	})
}
