package httpconn

import "testing"

func TestOwnServices(t *testing.T) {
	for host, want := range map[string]bool{
		"169.254.169.254": true, "169.254.170.2": true, "fe80::1": true, "fd00:ec2::254": true, "127.0.0.1": true, "::1": true,
		"metadata.google.internal": true,
		"10.0.0.1":                 false, "s3.amazonaws.com": false, "fd00::1": false,
	} {
		if got := isOwn(host); got != want {
			t.Errorf("%s: got %v", host, got)
		}
	}
}
