package gcs

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"orthanc-bucketfs/backends"
)

const maxAnswer = 8 << 10 // bytes of an error's description that are read

// answer is an error that the service answered with, in few words.
type answer struct {
	status  int
	code    string // reason (JSON) or code (XML); empty if there is none
	message string
}

func (a *answer) Error() string {
	text := fmt.Sprintf("the service answered %d", a.status)
	if a.code != "" {
		text += " " + a.code
	}
	if a.message != "" {
		text += ": " + a.message
	}
	return text
}

// readAnswer reads the body of resp, and leaves it to be read once more.
func readAnswer(resp *http.Response) *answer {
	// What cannot be read stays unknown.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	a := parseAnswer(body)
	a.status = resp.StatusCode
	return a
}

// parseAnswer takes the formats of both interfaces. See
// https://cloud.google.com/storage/docs/json_api/v1/status-codes and
// https://cloud.google.com/storage/docs/xml-api/reference-status
func parseAnswer(body []byte) *answer {
	var j struct {
		Error struct {
			Message string
			Errors  []struct{ Reason string }
		}
	}
	if json.Unmarshal(body, &j) == nil {
		a := &answer{message: backends.Told(j.Error.Message)}
		if len(j.Error.Errors) > 0 {
			a.code = backends.Told(j.Error.Errors[0].Reason)
		}
		return a
	}
	var x struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}
	if xml.Unmarshal(body, &x) == nil {
		return &answer{code: backends.Told(x.Code), message: backends.Told(x.Message)}
	}
	return new(answer)
}

// refused tells whether the service has refused the call for good. It answers
// 403 to too many requests, too.
func (a *answer) refused() bool {
	switch a.status {
	case http.StatusUnauthorized:
		return true
	case http.StatusForbidden:
		return !slices.Contains([]string{"rateLimitExceeded", "userRateLimitExceeded"}, a.code)
	}
	return false
}

// passing tells whether the same request may be answered otherwise soon. The
// SDK makes a retry then.
func (a *answer) passing() bool {
	return a.status >= http.StatusInternalServerError ||
		a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout
}

// noObject tells whether the service has named the object as what is missing.
func (a *answer) noObject() bool {
	return a.code == "NoSuchKey" || strings.HasPrefix(a.message, "No such object: ")
}

// noBucket tells whether the service has named the bucket as what is missing.
func (a *answer) noBucket() bool {
	return a.code == "NoSuchBucket" || a.message == "The specified bucket does not exist."
}
