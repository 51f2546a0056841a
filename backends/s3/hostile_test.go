package s3

import (
	"testing"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/hostile"
)

func TestHostileAnswers(t *testing.T) {
	hostile.Run(t, func(t *testing.T, url string) backends.Bucket { return open(t, testConfig(url)) })
}
