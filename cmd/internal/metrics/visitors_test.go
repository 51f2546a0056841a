package metrics

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const patience = time.Minute

func well(context.Context) error { return nil }

func answering() (read, write bool) { return false, false }

// A page in a browser of this machine cannot read what is served here under a
// name of its own.
func TestOtherNamesAreRefused(t *testing.T) {
	m, _ := watched(t)
	address := strings.TrimPrefix(serve(t, m, Health{well, well, answering}, true), "http://")
	for host, want := range map[string]int{
		"evil.example": 421, "evil.example:80": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "::1.evil": 421,
		address: 200, "localhost": 200, "localhost:9108": 200, "127.0.0.1": 200, "[::1]:9108": 200, "[::1]": 200, "10.0.0.1": 200,
	} {
		for _, path := range []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/"} {
			req, err := http.NewRequest("GET", "http://"+address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s%s: status %d, want %d", host, path, resp.StatusCode, want)
			}
		}
	}
}

// Whoever opens connections for ever, and asks nothing or slowly, neither takes
// memory for all of them nor keeps out who asks.
func TestConnectionsAreBounded(t *testing.T) {
	m, _ := watched(t)
	url := serve(t, m, Health{well, well, answering}, false)
	address := strings.TrimPrefix(url, "http://")
	var idle []net.Conn
	for i := range 4 * maxVisitors {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 { // the half of a request
			fmt.Fprintf(conn, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
		}
		idle = append(idle, conn)
	}
	if status, text := get(t, url+"/healthz"); status != 200 {
		t.Errorf("status %d: %s", status, text)
	}
	for i, conn := range idle[:3*maxVisitors] {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, err := bufio.NewReader(conn).ReadByte()
		if timeout, ok := err.(net.Error); err == nil || ok && timeout.Timeout() {
			t.Fatalf("connection %d of %d is still open: %v", i, len(idle), err)
		}
	}
}
