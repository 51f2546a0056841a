package metrics

import (
	"context"
	"errors"
	"io/fs"
	"net/http"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs/budget"
)

// Outcomes of operations, as labels.
const (
	ok         = "ok"
	corrupt    = "corrupt"
	unknownKey = "unknown_key"
	retiredKey = "retired_key"
	other      = "error"
)

// failure is a way for an operation to fail that has a name.
type failure struct {
	err  error
	name string
}

// failures returns those that are told apart, the more telling ones first.
func failures() []failure {
	return []failure{
		{crypto.ErrUnknownKey, unknownKey},
		{crypto.ErrRetiredKey, retiredKey},
		{crypto.ErrCorrupt, corrupt},
		{budget.ErrTooLarge, "too_large"},
		{budget.ErrBusy, "no_memory"},
		{backends.ErrChanged, "changed"},
		{context.DeadlineExceeded, "timeout"},
		{context.Canceled, "interrupted"},
		{fs.ErrExist, "exists"},
		{fs.ErrPermission, "refused"},
		{fs.ErrNotExist, "not_found"},
	}
}

// outcome names how an operation ended. What has no name of its own is "error".
func outcome(err error) string {
	if err == nil {
		return ok
	}
	for _, known := range failures() {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	return other
}

// outcomes returns all that outcome can return.
func outcomes() []string {
	names := []string{ok, other}
	for _, known := range failures() {
		names = append(names, known.name)
	}
	return names
}

// isIntegrity tells whether an object was refused for what it holds.
func isIntegrity(outcome string) bool {
	return outcome == corrupt || outcome == unknownKey || outcome == retiredKey
}

// answered tells whether the store did its work, be it to say that something is
// missing or taken.
func answered(r backends.Request) bool {
	switch r.Status {
	case 0:
		return r.Err == nil || errors.Is(r.Err, fs.ErrNotExist) || errors.Is(r.Err, fs.ErrExist) || errors.Is(r.Err, backends.ErrChanged)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return false
	}
	return r.Status < http.StatusInternalServerError
}
