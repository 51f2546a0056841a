package e2e_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/backends/backendtest/wire"
	"orthanc-bucketfs/cmd/internal/lab"
)

var outageClouds = flag.String("clouds", "s3", "the backends, with commas between, whose outages are tested")

// outagePatience catches a client that is never answered.
const outagePatience = 2 * time.Minute

// outage is a way in which a bucket can be away.
type outage struct {
	name          string
	begin         func(*wire.Proxy)
	reads, stores bool // succeed nevertheless
}

// stall is how long a store is silent that then goes on, and so is not away.
const stall = 20 * time.Second

func outages() []outage {
	always := func(f wire.Fault) func(*wire.Proxy) {
		return func(p *wire.Proxy) { p.Inject(func(*http.Request) wire.Fault { return f }) }
	}
	return []outage{
		{name: "connections are refused", begin: (*wire.Proxy).Down},
		{name: "all requests hang", begin: always(wire.Hang)},
		{name: "all are answered with 503", begin: always(wire.Refuse(http.StatusServiceUnavailable, ""))},
		{name: "only uploads hang", reads: true, begin: func(p *wire.Proxy) {
			p.Inject(func(r *http.Request) wire.Fault {
				if r.Method == http.MethodPut || r.Method == http.MethodPost { // POST on GCS
					return wire.Hang
				}
				return nil
			})
		}},
		{name: fmt.Sprintf("all requests hang for %.0f s", stall.Seconds()), reads: true, stores: true, begin: func(p *wire.Proxy) {
			end := time.Now().Add(stall)
			p.Inject(func(*http.Request) wire.Fault { return wire.Delay(time.Until(end)) })
		}},
	}
}

// use is something that a client does during an outage.
type use struct {
	name   string
	stores bool
	call   func(context.Context, *lab.Orthanc, int) heard // the n-th
	more   map[string]any                                 // settings of Orthanc
}

func uses(stored lab.Image) []use {
	store := func(ctx context.Context, o *lab.Orthanc, n int) heard {
		return storeAtOnce(ctx, o, variants(100+n*dicomThreads, dicomThreads))
	}
	return []use{
		{name: "C-STORE", stores: true, call: store},
		{name: "POST", stores: true, call: func(ctx context.Context, o *lab.Orthanc, n int) heard {
			return heardOf(ctx, func(ctx context.Context) error {
				_, err := o.Upload(ctx, variants(100+n, 1)[0].Data)
				return err
			})
		}},
		{name: "GET", call: func(ctx context.Context, o *lab.Orthanc, _ int) heard {
			return heardOf(ctx, func(ctx context.Context) error { return o.Check(ctx, stored) })
		}},
		{name: "C-STORE, DicomThreadsCount 16", stores: true, call: store, more: map[string]any{"DicomThreadsCount": 16}},
	}
}

// TestOutage prints what clients hear of an outage, and after how many seconds:
// the first of them, and the slowest of those that come later. With -minutes it
// does so for every kind of outage, every use and every Orthanc.
func TestOutage(t *testing.T) {
	tested := otherDebians()
	if *wholeMinutes {
		tested = append(tested, "")
	} else {
		tested = tested[:1]
	}
	for backend := range strings.SplitSeq(*outageClouds, ",") {
		for _, suite := range tested {
			t.Run(fmt.Sprintf("%s, Orthanc of %s", backend, cmp.Or(suite, "this machine")), func(t *testing.T) {
				t.Parallel()
				tableOfOutages(t, suite, backend)
			})
		}
	}
}

func tableOfOutages(t *testing.T, suite, backend string) {
	kinds, count := outages(), len(uses(lab.Image{}))
	if !*wholeMinutes {
		kinds, count = kinds[:2], 1
	}
	var lines table
	t.Run("rows", func(t *testing.T) {
		for k, kind := range kinds {
			for n := range count {
				t.Run(fmt.Sprint(kind.name, ", ", uses(lab.Image{})[n].name), func(t *testing.T) {
					t.Parallel()
					lines.add(k*count+n, kind.measure(t, suite, backend, n))
				})
			}
		}
	})
	t.Logf("\n| Outage | Client | first | later | C-ECHO beside the first | beside the later |\n"+
		"| --- | --- | --- | --- | --- | --- |\n%s", lines.String())
}

// measure returns the row of one use, from before the bucket is known to be away.
func (k outage) measure(t *testing.T, suite, backend string, n int) string {
	b := newBehind(t, backend)
	p := newPACS(t, options{sync: true, suite: suite, binary: shared.plain, cloud: b.cloud, more: uses(lab.Image{})[n].more})
	stored := p.uploadAll(variants(0, 1)...)[0]
	p.restartAll() // nothing of it is in memory
	k.begin(b.proxy)
	use := uses(stored)[n]
	first, firstEcho := k.hear(p, use, 0)
	later, laterEcho := k.hear(p, use, 1)
	for n := range laterCalls() {
		h, echo := k.hear(p, use, 2+n)
		later, laterEcho = slower(later, h), slower(laterEcho, echo)
	}
	b.wantAway(p, !k.reads, k.reads && use.stores && !k.stores)
	p.abandon()
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", k.name, use.name, first, later, firstEcho, laterEcho)
}

func (k outage) hear(p *pacs, use use, n int) (own, echo heard) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), outagePatience)
	defer cancel()
	own, echo = beside(ctx, p.orthanc, func() heard { return use.call(ctx, p.orthanc, n) })
	served := k.reads
	if use.stores {
		served = k.stores
	}
	if own.late || own.ok != served || own.what == noAnswer {
		p.Errorf("%s: %s hears %s, C-ECHO %s", k.name, use.name, own, echo)
	}
	return own, echo
}

// abandon ends a daemon that has not to bring anything to an end.
func (p *pacs) abandon() {
	p.Helper()
	p.inspectLog()
	if err := errors.Join(p.orthanc.Kill(), p.daemon.Kill()); err != nil {
		p.Error(err)
	}
	p.daemon = nil
}

// laterCalls is how many calls come after the second.
func laterCalls() int {
	if *wholeMinutes {
		return 2
	}
	return 0
}

func slower(a, b heard) heard {
	if b.after > a.after {
		return b
	}
	return a
}

// behind is a server behind a proxy, and where a daemon that uses it tells how
// it is.
type behind struct {
	cloud   cloud
	proxy   *wire.Proxy
	address string
}

func newBehind(t *testing.T, backend string) behind {
	t.Helper()
	require(t)
	c, proxy := clouds()[backend](t).behind(t)
	address := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	c.settings += fmt.Sprintf("\n[metrics]\nlisten = %q", address)
	return behind{c, proxy, address}
}

// wantAway sees that whoever watches the daemon is told what it refuses, and is
// given no reason to restart it.
func (b behind) wantAway(p *pacs, read, write bool) {
	p.Helper()
	_, metrics := get(p.T, p.ctx, "http://"+b.address+"/metrics")
	for kind, want := range map[string]bool{"read": read, "write": write} {
		if got := value(p.T, metrics, fmt.Sprintf("orthanc_bucketfs_bucket_away{kind=%q} ", kind)); (got == 1) != want {
			p.Errorf("bucket_away of kind %s is %d", kind, got)
		}
	}
	if code, body := get(p.T, p.ctx, "http://"+b.address+"/readyz"); (code == http.StatusServiceUnavailable) != (read || write) {
		p.Errorf("/readyz: %d %q", code, body)
	}
	if code, body := get(p.T, p.ctx, "http://"+b.address+"/healthz"); code != http.StatusOK {
		p.Errorf("/healthz: %d %q", code, body)
	}
}
