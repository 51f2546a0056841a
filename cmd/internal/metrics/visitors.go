package metrics

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

// maxVisitors is how many connections are open at a time. A scraper needs one.
const maxVisitors = 64

// visitors closes the oldest connection when there is one too many: whoever
// opens them for ever without asking anything takes no memory, and keeps nobody
// out who asks at once.
type visitors struct {
	net.Listener
	mu   sync.Mutex
	open []*visitor // the oldest first
}

type visitor struct {
	net.Conn
	of *visitors
}

func (v *visitors) Accept() (net.Conn, error) {
	conn, err := v.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &visitor{conn, v}
	if oldest := v.enter(c); oldest != nil {
		oldest.Close()
	}
	return c, nil
}

// enter returns who has to leave for c.
func (v *visitors) enter(c *visitor) (oldest *visitor) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open = append(v.open, c)
	if len(v.open) > maxVisitors {
		return v.open[0]
	}
	return nil
}

func (c *visitor) Close() error {
	c.of.mu.Lock()
	c.of.open = slices.DeleteFunc(c.of.open, func(o *visitor) bool { return o == c })
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// local keeps out the web pages of others, in the browser of somebody on this
// machine: with a name that is theirs, and suddenly ours (DNS rebinding), they
// could read what is served on loopback. Addresses cannot be given away so.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isOwnName(r.Host) {
			http.Error(w, "ask for an address or for localhost, not for another name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isOwnName takes the Host of a request. HTTP/1.0 has none.
func isOwnName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost" || host == ""
}

// onLoopback tells whether l is reached from this machine alone.
func onLoopback(l net.Listener) bool {
	address, ok := l.Addr().(*net.TCPAddr)
	return ok && address.IP.IsLoopback()
}
