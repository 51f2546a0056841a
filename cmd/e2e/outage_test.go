package e2e_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/backends/backendtest/wire"
	"orthanc-bucketfs/cmd/internal/lab"
)

// outagePatience catches a client that is never answered.
const outagePatience = 2 * time.Minute

// outage is a way in which a bucket can be away.
type outage struct {
	name  string
	begin func(*wire.Proxy)
	reads bool // stored images can be had nevertheless
}

func outages() []outage {
	always := func(f wire.Fault) func(*wire.Proxy) {
		return func(p *wire.Proxy) { p.Inject(func(*http.Request) wire.Fault { return f }) }
	}
	return []outage{
		{name: "connections are refused", begin: (*wire.Proxy).Down},
		{name: "all requests hang", begin: always(wire.Hang)},
		{name: "all are answered with 503", begin: always(wire.Refuse(http.StatusServiceUnavailable, ""))},
		{name: "only PUT hangs", reads: true, begin: func(p *wire.Proxy) {
			p.Inject(func(r *http.Request) wire.Fault {
				if r.Method == http.MethodPut {
					return wire.Hang
				}
				return nil
			})
		}},
	}
}

// use is something that a client does during an outage.
type use struct {
	name   string
	stores bool
	call   func(context.Context, *lab.Orthanc, int) heard // the n-th
}

func uses(stored lab.Image) []use {
	return []use{
		{"C-STORE", true, func(ctx context.Context, o *lab.Orthanc, n int) heard {
			return storeAtOnce(ctx, o, variants(100+n*dicomThreads, dicomThreads))
		}},
		{"POST", true, func(ctx context.Context, o *lab.Orthanc, n int) heard {
			return heardOf(ctx, func(ctx context.Context) error {
				_, err := o.Upload(ctx, variants(100+n, 1)[0].Data)
				return err
			})
		}},
		{"GET", false, func(ctx context.Context, o *lab.Orthanc, _ int) heard {
			return heardOf(ctx, func(ctx context.Context) error { return o.Check(ctx, stored) })
		}},
	}
}

// TestOutage prints what clients hear of an outage, and after how many seconds:
// the first of them, and the slowest of those that come later. With -minutes it
// does so for every kind of outage, every use and every Orthanc.
func TestOutage(t *testing.T) {
	kinds, tested, count := outages(), otherDebians(), len(uses(lab.Image{}))
	if *wholeMinutes {
		tested = append(tested, "")
	} else {
		kinds, tested, count = kinds[:2], tested[:1], 1
	}
	for _, suite := range tested {
		t.Run("Orthanc of "+cmp.Or(suite, "this machine"), func(t *testing.T) {
			t.Parallel()
			var lines table
			t.Run("rows", func(t *testing.T) {
				for k, kind := range kinds {
					for n := range count {
						t.Run(fmt.Sprint(kind.name, ", ", uses(lab.Image{})[n].name), func(t *testing.T) {
							t.Parallel()
							lines.add(k*count+n, kind.measure(t, suite, n))
						})
					}
				}
			})
			t.Logf("\n| Outage | Client | first | later | C-ECHO beside the first | beside the later |\n"+
				"| --- | --- | --- | --- | --- | --- |\n%s", lines.String())
		})
	}
}

// measure returns the row of one use, from before the bucket is known to be away.
func (k outage) measure(t *testing.T, suite string, n int) string {
	p, proxy := newPACSBehind(t, suite)
	stored := p.uploadAll(variants(0, 1)...)[0]
	p.restartAll() // nothing of it is in memory
	k.begin(proxy)
	use := uses(stored)[n]
	first, firstEcho := k.hear(p, use, 0)
	later, laterEcho := k.hear(p, use, 1)
	for n := range laterCalls() {
		h, echo := k.hear(p, use, 2+n)
		later, laterEcho = slower(later, h), slower(laterEcho, echo)
	}
	p.abandon()
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", k.name, use.name, first, later, firstEcho, laterEcho)
}

func (k outage) hear(p *pacs, use use, n int) (own, echo heard) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), outagePatience)
	defer cancel()
	own, echo = beside(ctx, p.orthanc, func() heard { return use.call(ctx, p.orthanc, n) })
	if served := k.reads && !use.stores; own.late || own.ok != served || own.what == noAnswer {
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

// newPACSBehind has its bucket on a server behind a proxy.
func newPACSBehind(t *testing.T, suite string) (*pacs, *wire.Proxy) {
	t.Helper()
	require(t)
	store := server.Versity(t)
	proxy := wire.New(t, store.URL)
	settings := fmt.Sprintf("bucket = %q\nendpoint = %q\naccess_key = %q\nsecret_key = %q\npath_style = true",
		store.Bucket, proxy.URL, store.AccessKey, store.SecretKey)
	return newPACS(t, options{sync: true, suite: suite, binary: shared.plain, behind: settings}), proxy
}
