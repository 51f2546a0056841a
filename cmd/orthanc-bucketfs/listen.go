package main

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
)

func (f *faults) checkMetrics(m Metrics) {
	if m.Listen == "" {
		if m.Profiling {
			f.add("metrics.profiling", "set metrics.listen, or remove it", "is true, but nothing is served")
		}
		return
	}
	if err := checkAddress(m.Listen); err != nil {
		f.add("metrics.listen", `write host and port, as in "127.0.0.1:9108"`, "%w", err)
		return
	}
	if m.Profiling && !isLoopback(m.Listen) {
		f.add("metrics.profiling", "listen on 127.0.0.1 or [::1], or remove it",
			"is true while metrics.listen is no address of this machine alone: profiles may hold what is in memory, and others could reach them")
	}
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("is no address with a port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("has no port from 1 to 65535")
	}
	return nil
}

// isLoopback tells whether nobody outside of this machine can reach address. A
// name may be anything.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
