package inspect

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"time"

	"orthanc-bucketfs/backends"
)

const (
	day = 24 * time.Hour

	// A certificate should have been renewed when so much of its life is left,
	// or a quarter of it if that is less.
	renewal = 14 * day
)

// describeCertificate tells how long the store's certificate is still valid.
func describeCertificate(c *x509.Certificate, now time.Time) backends.Finding {
	left := c.NotAfter.Sub(now)
	text := fmt.Sprintf("certificate valid until %s, %d days from now", c.NotAfter.UTC().Format(time.DateOnly), int(math.Floor(left.Hours()/day.Hours())))
	if left < min(renewal, c.NotAfter.Sub(c.NotBefore)/4) {
		return Doubtful(text + ": have it renewed; when it has ended, nothing can be stored or read")
	}
	return Fine(text)
}

const trust = "if it is a private authority, install its certificate on this machine (update-ca-certificates)"

// explainTLS says what to do about a handshake that failed.
func explainTLS(err error, advice string) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w: %s", err, cmp.Or(advice, trust))
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("%w: correct the address, or the certificate", err)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return fmt.Errorf("%w: renew the store's certificate, or set this machine's clock if that is what is wrong", err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Errorf("%w: there is no TLS at that address: check the port, or write http", err)
	}
	return err
}
