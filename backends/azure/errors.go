package azure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
)

var (
	// ErrArchived reports an object that is in the archive tier, or on its way
	// out of it. It exists, but cannot be read before it has been rehydrated.
	ErrArchived = errors.New("object is in the archive tier and must be rehydrated before it can be read")

	errIncomplete = errors.New("the service's answer does not describe the object")
	errRange      = errors.New("the service's answer is not about the range asked for: look for a proxy that changes requests")
	errNoListing  = errors.New("the service's answer is no listing: check the address, and for a proxy")
	errDamaged    = errors.New("the bytes received do not match the service's checksum of them")
	errOrder      = errors.New("the service does not list keys in byte order: use an account without hierarchical namespace")
)

// answer is an answer of the service that is no success. It takes the place of
// the SDK's error, which shows the whole answer: that of a refusal can hold the
// request's signature.
type answer struct {
	status    int
	code      string // the service's name for the error, if it gave one
	requestID string
	meaning   error  // nil if it has none for callers
	advice    string // what to do, if that is known
}

func (a *answer) Error() string {
	msg := fmt.Sprintf("the service answered %d", a.status)
	if a.code != "" {
		msg += " " + a.code
	}
	if a.meaning != nil {
		msg = a.meaning.Error() + " (" + msg + ")"
	}
	if a.advice != "" {
		msg += ": " + a.advice
	}
	return msg
}

func (a *answer) Unwrap() error { return a.meaning }

// brokenBody is what ended a body before its end.
type brokenBody struct {
	requestID string
	err       error
}

func (e *brokenBody) Error() string { return "the object's bytes broke off: " + e.err.Error() }

func (e *brokenBody) Unwrap() error { return e.err }

// failure says which call err is about, an error that has been translated.
func failure(op, key string, err error) error {
	e := &backends.Error{Op: op, Key: key, Err: err}
	var a *answer
	var b *brokenBody
	switch {
	case errors.As(err, &a):
		e.RequestID = a.requestID
	case errors.As(err, &b):
		e.RequestID = b.requestID
	}
	return e
}

// translate returns what an error of the SDK, or of reading a body, means.
func (b *Bucket) translate(ctx context.Context, op string, err error) error {
	var resp *azcore.ResponseError
	var auth *azidentity.AuthenticationFailedError
	ended := httpconn.Ended(ctx)
	switch {
	case errors.As(err, &resp):
		return b.answer(op, resp)
	case ended != nil && errors.Is(err, ended):
		return ended
	case ended != nil:
		return fmt.Errorf("%w (%v)", ended, err)
	case errors.As(err, &auth):
		return noToken(auth)
	}
	return opaque(err)
}

// opaque keeps err from being taken for news about the object. A token file
// that is missing, or a firewall on this machine, has the errors of io/fs, too.
func opaque(err error) error {
	for _, sentinel := range []error{fs.ErrExist, fs.ErrNotExist, fs.ErrPermission} {
		if errors.Is(err, sentinel) {
			return errors.New(err.Error())
		}
	}
	return err
}

// noToken is a refusal only if Azure has answered so.
func noToken(err *azidentity.AuthenticationFailedError) error {
	const advice = "Azure gives no token for these credentials: check them"
	if err.RawResponse == nil {
		return opaque(err)
	}
	a := &answer{status: err.RawResponse.StatusCode, requestID: requestID(err.RawResponse), advice: advice}
	switch a.status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		a.meaning = fs.ErrPermission
	}
	return a
}

func requestID(resp *http.Response) string {
	if resp == nil {
		return ""
	}
	return resp.Header.Get("x-ms-request-id")
}
