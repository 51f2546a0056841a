package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"orthanc-bucketfs/backends/backendtest/server"
)

// prometheus is Debian's, with the alerts that the package brings.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus scrapes address every second.
func startPrometheus(t *testing.T, address string) prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no prometheus (Debian: prometheus)")
		}
		t.Skip("there is no prometheus (Debian: prometheus)")
	}
	alerts, err := filepath.Abs("../../systemd/monitoring/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, listen := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf(`global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ %q ]
scrape_configs:
  - job_name: orthanc-bucketfs
    static_configs: [ { targets: [ %q ] } ]
`, alerts, address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server.Start(t, server.Command{
		Name: "Prometheus",
		Argv: []string{program, "--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + listen},
		Address: listen,
	})
	return prometheus{t, "http://" + listen}
}

// api decodes an answer of Prometheus.
func (p prometheus) api(ctx context.Context, path string, data any) error {
	status, body := get(p.t, ctx, p.url+path)
	answer := struct {
		Error string
		Data  any
	}{Data: data}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return fmt.Errorf("status %d: %w: %s", status, err, body)
	}
	if status != http.StatusOK {
		return fmt.Errorf("status %d: %s", status, answer.Error)
	}
	return nil
}

// query returns how many series an expression has.
func (p prometheus) query(ctx context.Context, expression string) (int, error) {
	var data struct{ Result []any }
	err := p.api(ctx, "/api/v1/query?query="+url.QueryEscape(expression), &data)
	return len(data.Result), err
}

// await returns when an expression has a series.
func (p prometheus) await(ctx context.Context, expression string) {
	p.t.Helper()
	p.poll(ctx, func() error {
		n, err := p.query(ctx, expression)
		if err == nil && n == 0 {
			err = fmt.Errorf("%s: no series", expression)
		}
		return err
	})
}

// poll returns when done does not object any more.
func (p prometheus) poll(ctx context.Context, done func() error) {
	p.t.Helper()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatal(err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// rule is an alert as Prometheus has it.
type rule struct{ Name, State, Health, LastError string }

// rules returns all alerts, once they have been evaluated.
func (p prometheus) rules(ctx context.Context) []rule {
	p.t.Helper()
	var data struct{ Groups []struct{ Rules []rule } }
	p.poll(ctx, func() error {
		if err := p.api(ctx, "/api/v1/rules", &data); err != nil {
			return err
		}
		if len(data.Groups) != 1 || slices.ContainsFunc(data.Groups[0].Rules, func(r rule) bool { return r.Health == "unknown" }) {
			return fmt.Errorf("not all rules of one group were evaluated: %+v", data)
		}
		return nil
	})
	return data.Groups[0].Rules
}

// wantAlert sees that all rules work, and that one alert fires and no other.
func (p prometheus) wantAlert(ctx context.Context, firing string) {
	p.t.Helper()
	rules := p.rules(ctx)
	if len(rules) < 10 {
		p.t.Errorf("%d rules", len(rules))
	}
	for _, r := range rules {
		if r.Health != "ok" || (r.State == "firing") != (r.Name == firing) {
			p.t.Errorf("%s is %s, health %s %s", r.Name, r.State, r.Health, r.LastError)
		}
	}
}

// panels returns the expressions of the dashboard by the titles of its panels,
// as Grafana would send them.
func panels(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../systemd/monitoring/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$instance", ".*", "$__rate_interval", "1h", "$__range", "1h")
	found := map[string][]string{}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			found[panel.Title] = append(found[panel.Title], variables.Replace(target.Expr))
		}
	}
	return found
}

// A real Prometheus scrapes a mount: every panel of the dashboard shows
// something, and a damaged object is an alert, the only one.
func TestMonitoring(t *testing.T) {
	ctx, site := newSite(t)
	address := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	configure(t, site, fmt.Sprintf("[metrics]\nlisten = %q", address))
	p := startPrometheus(t, address)
	mustMount(t, ctx, site)
	p.await(ctx, "up == 1")
	useEverything(t, site)
	path := filepath.Join(site.Mountpoint(), attachment)
	storeFile(t, path, "that will be damaged")
	if err := flip(site.Bucket().Path(attachment), headerEnd); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(path); !errors.Is(err, syscall.EIO) {
		t.Fatalf("a damaged object: %v", err)
	}
	p.await(ctx, `ALERTS{alertname="OrthancBucketfsDamaged",alertstate="firing",reason="corrupt"}`)
	p.wantAlert(ctx, "OrthancBucketfsDamaged")
	for title, expressions := range panels(t) {
		for _, expression := range expressions {
			if n, err := p.query(ctx, expression); n == 0 || err != nil {
				t.Errorf("%q shows nothing, error %v: %s", title, err, expression)
			}
		}
	}
}
