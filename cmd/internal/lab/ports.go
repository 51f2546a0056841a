package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports hands out TCP ports nobody listens on, each only once. They lie below
// the range the kernel takes for outgoing connections, so that none of those
// can take a port between its choice and its use.
type Ports struct {
	mu   sync.Mutex // guards next
	next int
}

const lowestPort, highestPort = 15000, 32000

// NewPorts returns a supply that starts anywhere in the range.
func NewPorts() *Ports {
	return &Ports{next: lowestPort + rand.IntN(highestPort-lowestPort)}
}

// Free returns a port.
func (p *Ports) Free() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var last error
	for range highestPort - lowestPort {
		port := p.next
		p.next++
		if p.next >= highestPort {
			p.next = lowestPort
		}
		if last = TryPort(port); last == nil {
			return port, nil
		}
	}
	return 0, errors.Join(errors.New("no free TCP port"), last)
}

// TryPort listens on a port for a moment, on all addresses, as Orthanc will.
func TryPort(port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	return l.Close()
}
