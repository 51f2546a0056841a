package httpconn

import (
	"net"
	"net/http"
	"net/url"
	"slices"
)

// Proxy is http.ProxyFromEnvironment but for a machine's own services, which
// give it credentials and are not to be had through a proxy.
func Proxy(req *http.Request) (*url.URL, error) {
	if isOwn(req.URL.Hostname()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(req)
}

// isOwn knows addresses of the machine and its link, and the two that AWS has in
// IPv6 and the name that Google has for theirs.
func isOwn(host string) bool {
	if slices.Contains([]string{"fd00:ec2::254", "fd00:ec2::23", "metadata.google.internal"}, host) {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast())
}
