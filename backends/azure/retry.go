package azure

import (
	"errors"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"orthanc-bucketfs/backends/internal/httpconn"
	"orthanc-bucketfs/backends/internal/retry"
)

// maxRetryDelay is what the service may ask for; a longer pause is left to the
// caller.
const maxRetryDelay = 30 * time.Second

// retryable returns the answers after which the SDK sends a request again.
func retryable() []int {
	return []int{
		http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}
}

// retryOptions lets the SDK send a request again up to retries times.
func retryOptions(retries int, delay time.Duration) policy.RetryOptions {
	if retries == 0 {
		retries = -1 // for the SDK, zero is three
	}
	return policy.RetryOptions{MaxRetries: int32(retries), RetryDelay: delay, MaxRetryDelay: maxRetryDelay}
}

// withBudget makes all requests of a client that are sent again draw on one
// budget. It is for requests to the storage service: those for tokens go out one
// after the other.
func withBudget(o *azcore.ClientOptions, retries int, budget *retry.Budget) {
	o.Retry.StatusCodes = retryable()
	o.PerCallPolicies = append(o.PerCallPolicies, begin{})
	o.PerRetryPolicies = append(o.PerRetryPolicies, attempt{retries, budget})
}

// attempts counts those at one request of the SDK.
type attempts struct{ made int }

// begin starts to count.
type begin struct{}

func (begin) Do(req *policy.Request) (*http.Response, error) {
	req.SetOperationValue(new(attempts))
	return req.Next()
}

// attempt keeps the SDK from making another one when the budget is spent.
type attempt struct {
	retries int
	budget  *retry.Budget
}

func (a attempt) Do(req *policy.Request) (*http.Response, error) {
	var count *attempts
	if !req.OperationValue(&count) {
		return nil, errors.New("a request outside of any call")
	}
	count.made++
	if count.made > 1 {
		req = req.WithContext(httpconn.Repeated(req.Raw().Context()))
	}
	resp, err := req.Next()
	switch {
	case err == nil && !runtime.HasStatusCode(resp, retryable()...):
		a.budget.Succeeded(count.made > 1)
	case count.made > a.retries || req.Raw().Context().Err() != nil || errors.As(err, new(final)):
	case !a.budget.Take():
		if err == nil {
			err = runtime.NewResponseError(resp)
		}
		return nil, spent{err}
	}
	return resp, err
}

// final is an error that the SDK makes no retry after.
type final interface {
	error
	NonRetriable()
}

// spent is an error that no retry is left for.
type spent struct{ error }

func (spent) NonRetriable() {}

func (s spent) Unwrap() error { return s.error }
