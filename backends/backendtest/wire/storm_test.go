package wire

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestStormIsThatOfItsSeed(t *testing.T) {
	odds := Odds{LoseUpload: 0.3, LateUpload: 0.3, LoseDelete: 0.3, LateDelete: 0.3, CutRead: 0.3}
	chosen := func(seed uint64) (has []bool) {
		s := NewStorm(seed, odds)
		for i := range 300 {
			method := []string{http.MethodPut, http.MethodDelete, http.MethodGet}[i%3]
			has = append(has, s.Choose(&http.Request{Method: method}) != nil)
		}
		return has
	}
	if a := chosen(1); !slices.Equal(a, chosen(1)) || slices.Equal(a, chosen(2)) || !slices.Contains(a, true) || !slices.Contains(a, false) {
		t.Error("the faults are not those of the seed")
	}
}

// late sends a request that is to arrive late, and returns when its client has
// gone.
func late(t *testing.T, p *Proxy, odds Odds) *Storm {
	t.Helper()
	s := NewStorm(3, odds)
	p.Inject(s.Choose)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, _, err := send(ctx, "PUT", p.URL, "sent"); err == nil {
		t.Fatal("a late request was answered")
	}
	return s
}

func TestLateRequestsArriveWhenTheClientHasGone(t *testing.T) {
	for _, silent := range []float64{0, 1} {
		server := newServer(t)
		p := New(t, server.URL)
		late(t, p, Odds{LateUpload: 1, Silent: silent, Latest: time.Millisecond})
		p.Wait()
		if got := server.got(); !slices.Equal(got, []string{"sent"}) {
			t.Errorf("silent %v: the server received %q", silent, got)
		}
	}
}

func TestEndOfStormLetsHalfIn(t *testing.T) {
	server := newServer(t)
	p := New(t, server.URL)
	const n = 40
	s := NewStorm(3, Odds{LateUpload: 1, Latest: 1000 * time.Hour})
	p.Inject(s.Choose)
	for range n {
		if _, _, _, err := send(t.Context(), "PUT", p.URL, "sent"); err == nil {
			t.Fatal("a late request was answered")
		}
	}
	s.End()
	p.Wait()
	if got := len(server.got()); got == 0 || got == n {
		t.Errorf("%d of %d arrived, want some", got, n)
	}
}
