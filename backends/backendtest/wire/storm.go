package wire

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// Odds are how likely requests of a kind have a fault. Those of one kind add up
// to 1 at most.
type Odds struct {
	LoseUpload, LateUpload float64 // of PUT and POST
	LoseDelete, LateDelete float64
	CutRead                float64 // of GET and HEAD: the server does not see them

	// Silent is how many of the late requests have a client that hears nothing
	// until it gives up; the others have one whose connection is reset at once.
	Silent float64

	Latest time.Duration // from when the client has gone until the request arrives
}

// Storm gives requests faults at random, the same ones to the same sequence of
// requests.
type Storm struct {
	odds Odds

	mu  sync.Mutex // guards rng
	rng *rand.Rand

	over chan struct{} // closed when it is
}

// NewStorm returns a Storm. Its Choose is for Proxy.Inject.
func NewStorm(seed uint64, odds Odds) *Storm {
	return &Storm{odds: odds, rng: rand.New(rand.NewPCG(seed, 0)), over: make(chan struct{})}
}

// Choose returns the fault of a request, or nil.
func (s *Storm) Choose(r *http.Request) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.rng.Float64()
	lose, late := s.odds.of(r.Method)
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		if x < s.odds.CutRead {
			return ResetBefore
		}
	case x < lose:
		return LoseAnswer
	case x < lose+late:
		return s.late()
	}
	return nil
}

func (o Odds) of(method string) (lose, late float64) {
	switch method {
	case http.MethodPut, http.MethodPost:
		return o.LoseUpload, o.LateUpload
	case http.MethodDelete:
		return o.LoseDelete, o.LateDelete
	}
	return 0, 0
}

// End lets half of the requests that are late arrive now, and drops the others.
func (s *Storm) End() { close(s.over) }

func (s *Storm) late() Fault {
	silent, kept := s.rng.Float64() < s.odds.Silent, s.rng.IntN(2) == 0
	pause := time.Duration(s.rng.Float64() * float64(s.odds.Latest))
	return func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		whole, ok := detach(r)
		if silent {
			<-r.Context().Done()
		} else {
			reset(w)
		}
		if ok && s.arrives(pause, kept) {
			server.ServeHTTP(httptest.NewRecorder(), whole)
		}
	}
}

// arrives waits for a pause, which the end of the storm shortens; then a request
// arrives only if it is kept.
func (s *Storm) arrives(pause time.Duration, kept bool) bool {
	select {
	case <-time.After(pause):
		return true
	case <-s.over:
		return kept
	}
}
