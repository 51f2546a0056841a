package backends

import "fmt"

// Limits bound what a backend takes of the network. The configuration of every
// cloud has them.
type Limits struct {
	ConnectionTimeout int `toml:"connection_timeout"` // seconds to connect, and again for TLS
	RequestTimeout    int `toml:"request_timeout"`    // seconds without a byte in either direction, after which a call is given up
	MaxConnections    int `toml:"max_connections"`    // at one time
	MaxRetries        int `toml:"max_retries"`        // of one request; 0 for none
}

// DefaultLimits returns the limits of a configuration that is silent about
// them.
func DefaultLimits() Limits {
	return Limits{ConnectionTimeout: 10, RequestTimeout: 30, MaxConnections: 100, MaxRetries: 3}
}

// CheckLimits returns an error that names the first key of l that no backend
// can work with.
func CheckLimits(l Limits) error {
	for _, limit := range []struct {
		key      string
		got, min int
	}{
		{"connection_timeout", l.ConnectionTimeout, 1},
		{"request_timeout", l.RequestTimeout, 1},
		{"max_connections", l.MaxConnections, 1},
		{"max_retries", l.MaxRetries, 0},
	} {
		if limit.got < limit.min {
			return fmt.Errorf("%s is %d: give at least %d", limit.key, limit.got, limit.min)
		}
	}
	return nil
}
