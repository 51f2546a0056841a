package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/internal/httpconn"
)

// ErrArchived reports an object in a storage class it has to be restored from
// before it can be read.
var ErrArchived = errors.New("object is archived: restore it in the store first")

// failure translates an error of a call for its caller.
func failure(ctx context.Context, op, key string, err error) error {
	e := &backends.Error{Op: op, Key: key, Err: translate(ctx, op, err)}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		e.RequestID = response.ServiceRequestID()
	}
	return e
}

func translate(ctx context.Context, op string, err error) error {
	if errors.Is(err, errTaken) {
		return fmt.Errorf("%w: %w", fs.ErrExist, err)
	}
	api := answer(err)
	if sentinel := meaning(op, api); sentinel != nil {
		if _, ok := errors.AsType[*retriedError](err); ok && sentinel == fs.ErrPermission {
			return fmt.Errorf("a retry was refused, what became of the attempt before is unknown: %w", api)
		}
		return fmt.Errorf("%w: %w", sentinel, api)
	}
	if ended := httpconn.Ended(ctx); ended != nil {
		return fmt.Errorf("%w: %w", ended, foreign(err))
	}
	if api.status != 0 {
		return api
	}
	return foreign(err)
}

// meaning returns what an answer of the store says about the object, nil if it
// says nothing.
func meaning(op string, api *apiError) error {
	switch {
	case api.code == "InvalidObjectState":
		return ErrArchived
	case api.status == http.StatusForbidden || api.status == http.StatusUnauthorized:
		return fs.ErrPermission
	case op == "create" && api.status == http.StatusPreconditionFailed:
		return fs.ErrExist
	case (op == "read" || op == "replace" || op == "delete") && api.status == http.StatusPreconditionFailed:
		return backends.ErrChanged
	case op == "replace" && api.missing():
		return backends.ErrChanged
	case (op == "read" || op == "stat") && api.missing():
		return fs.ErrNotExist
	}
	return nil
}

// apiError is the store's refusal, in few words.
type apiError struct {
	method  string // of the request
	status  int    // HTTP
	code    string
	message string
}

// missing believes a 404 without a code, which the SDK calls "NotFound", if it
// answers a HEAD: that has no body to hold one. In the answer to anything else
// the code is missing because it does not come from the store.
func (e *apiError) missing() bool {
	if e.status != http.StatusNotFound {
		return false
	}
	return e.code == "NoSuchKey" || e.code == "NotFound" && e.method == http.MethodHead
}

func (e *apiError) Error() string {
	text := fmt.Sprintf("the store answered %d", e.status)
	if e.code != "" {
		text += " " + e.code
	}
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// answer returns what the store answered. The status is 0 if it did not.
func answer(err error) *apiError {
	api := new(apiError)
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		api.status = response.HTTPStatusCode()
		if r := response.Response; r != nil && r.Request != nil {
			api.method = r.Request.Method
		}
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		api.code, api.message = backends.Told(e.ErrorCode()), backends.Told(e.ErrorMessage())
	}
	return api
}

// foreign returns err as an error that says nothing about an object or the
// call's context. Failing to read a file, say of credentials, can be
// io/fs.ErrNotExist, and timeouts of package net are context.DeadlineExceeded.
func foreign(err error) error {
	for _, sentinel := range []error{
		fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, sentinel) {
			return errors.New(err.Error())
		}
	}
	return err
}
