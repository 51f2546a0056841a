package server

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports below the range that Linux takes for outgoing connections, so that
// none of those can get in between.
const (
	firstPort = 15000
	lastPort  = 32000
)

// FreePort returns a port of 127.0.0.1 that nothing listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port on 127.0.0.1")
	return 0
}
