package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

const (
	readTimeout  = 10 * time.Second
	writeTimeout = 60 * time.Second
	idleTimeout  = 2 * time.Minute
	maxHeader    = 16 << 10 // bytes
	lastWords    = time.Second
)

// Health is how the parts are asked whether they are well. Each returns when its
// context ends, with or without an answer.
type Health struct {
	Mount func(context.Context) error // returns when the mount has answered
	Store func(context.Context) error // makes one cheap request

	Away func() (read, write bool) // what is refused because the bucket does not answer
}

// Server answers over HTTP.
type Server struct {
	http *http.Server
	done chan struct{}
}

// Serve answers at l: /metrics in Prometheus' format; /healthz, whether the
// mount answers; /readyz, whether the store could be reached lately as well, and
// nothing is refused because it does not answer.
// With profiling it serves Go's profiles, too, which hold names of functions,
// and for whoever asks cleverly enough contents of memory. On loopback it answers
// only those who ask for an address or for localhost.
func (m *Metrics) Serve(l net.Listener, h Health, profiling bool, log *slog.Logger) *Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { answer(w, m.healthy(r.Context(), h)) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { answer(w, m.ready(r.Context(), h)) })
	if profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	}
	var handler http.Handler = mux
	if onLoopback(l) {
		handler = local(mux)
	}
	s := &Server{
		http: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: readTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeader,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(&visitors{Listener: l}); err != http.ErrServerClosed {
			log.Error("metrics are not served any more", "address", l.Addr().String(), "error", err)
		}
	}()
	return s
}

// Close ends the server. Who is being answered has a moment to hear the end.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	return err
}

func (m *Metrics) healthy(ctx context.Context, h Health) error {
	ctx, cancel := context.WithTimeout(ctx, mountPatience)
	defer cancel()
	if err := h.Mount(ctx); err != nil {
		return fmt.Errorf("the mount does not answer: %w", err)
	}
	return nil
}

func (m *Metrics) ready(ctx context.Context, h Health) error {
	if err := m.healthy(ctx, h); err != nil {
		return err
	}
	if err := refused(h.Away()); err != nil {
		return err
	}
	return m.reach.check(ctx, h.Store)
}

func refused(read, write bool) error {
	switch {
	case read && write:
		return errors.New("the bucket does not answer: stores and reads are refused until it does")
	case write:
		return errors.New("the bucket does not answer what changes something in it: stores are refused until it does")
	case read:
		return errors.New("the bucket does not answer what reads it: reads and stores are refused until it does")
	}
	return nil
}

// answer writes plain text: ok, or what is wrong.
func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, err.Error()+"\n")
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}
