package s3

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest/server"
)

// report has what an Inspect found, by item: "ok", "warn" or "FAIL" and the
// text, or "skip".
type report map[string]string

func inspected(t *testing.T, b *Bucket, scratch string) report {
	t.Helper()
	r := report{}
	for _, f := range b.Inspect(t.Context(), scratch) {
		switch {
		case f.Skipped != "":
			r[f.Item] = "skip"
		case f.Err != nil:
			r[f.Item] = "FAIL " + f.Err.Error()
		case f.Warning != "":
			r[f.Item] = "warn " + f.Warning
		default:
			r[f.Item] = "ok " + f.Detail
		}
		if strings.Contains(r[f.Item], testSecret) {
			t.Errorf("%s holds the secret key", f.Item)
		}
	}
	return r
}

// want reports an item that did not come out so, or whose text has not the
// words. Items that are not told of are to be in order, but for the conditional
// delete: runSuite tells which servers know that.
func (r report) want(t *testing.T, exceptions map[string][2]string) {
	t.Helper()
	for item, text := range r {
		outcome, words := "ok", ""
		if item == "conditional delete" {
			outcome = ""
		}
		if e, ok := exceptions[item]; ok {
			outcome, words = e[0], e[1]
		}
		if !strings.HasPrefix(text, outcome) || !strings.Contains(text, words) {
			t.Errorf("%s: got %q, want %s with %q", item, text, outcome, words)
		}
	}
	for item := range exceptions {
		if r[item] == "" {
			t.Errorf("no item %q", item)
		}
	}
}

// failsAt wants every item up to one to be in order, that one to fail with the
// words, and those after it to be skipped.
func (r report) failsAt(t *testing.T, item, words string) {
	t.Helper()
	items := []string{"DNS", "connection", "TLS", "clock", "credentials", "bucket", "put", "checksum",
		"conditional create", "get", "list", "public access", "upload in parts", "conditional delete", "delete", "missing object"}
	exceptions := map[string][2]string{item: {"FAIL", words}}
	for _, after := range items[slices.Index(items, item)+1:] {
		if r[after] != "" {
			exceptions[after] = [2]string{"skip", ""}
		}
	}
	r.want(t, exceptions)
}

func wantEmpty(t *testing.T, b *Bucket) {
	t.Helper()
	page, err := b.List(t.Context(), backends.ListOptions{})
	if err != nil || len(page.Objects) > 0 {
		t.Errorf("the bucket has %v, error %v", page.Objects, err)
	}
	wantNoUploads(t, b)
}

func TestInspectOfSoundStores(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) {
		b := open(t, configFor(s))
		r := inspected(t, b, "hospital/probe-")
		r.want(t, map[string][2]string{"checksum": {"ok", "CRC-32C"}, "credentials": {"ok", "Static"}, "upload in parts": {"ok", "never"}})
		if len(r) != 16 {
			t.Errorf("got items %q", slices.Sorted(maps.Keys(r)))
		}
		if b.whole.get() != (mode{}) || b.parts.get() != (mode{}) {
			t.Errorf("got modes %+v and %+v", b.whole.get(), b.parts.get())
		}
		wantEmpty(t, b)
	})
}

func TestInspectOverTLS(t *testing.T) {
	s := server.MinIOTLS(t)
	inspected(t, open(t, configFor(s)), "probe-").
		want(t, map[string][2]string{"TLS": {"ok", fmt.Sprint(server.CertificateDays, " days")}})
	s.Authority = ""
	inspected(t, open(t, configFor(s)), "probe-").failsAt(t, "TLS", "ca_certificates")
}

// What may only be read is not written to.
func TestInspectForReadingOnly(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) {
		w := startWire(t, s.URL)
		b := open(t, configBehind(w, s))
		if _, err := b.Create(t.Context(), "x", pattern(10)); err != nil {
			t.Fatal(err)
		}
		w.take()
		r := inspected(t, b, "")
		r.want(t, nil)
		if len(r) != 7 {
			t.Errorf("got items %q", slices.Sorted(maps.Keys(r)))
		}
		// Clock, credentials, object and listing without credentials.
		if got, want := w.take(), []string{"GET", "GET", "GET list-type", "GET list-type"}; !slices.Equal(got, want) {
			t.Errorf("got requests %q, want %q", got, want)
		}
	})
}

func TestInspectTellsCredentials(t *testing.T) {
	onEach(t, func(t *testing.T, s server.S3) {
		cfg := configFor(s)
		cfg.AccessKey = "another"
		inspected(t, open(t, cfg), "probe-").failsAt(t, "credentials", "correct access_key")
		cfg = configFor(s)
		cfg.SecretKey = backends.NewSecret("another-secret")
		inspected(t, open(t, cfg), "probe-").failsAt(t, "credentials", "correct the secret key")
		cfg = configFor(s)
		cfg.Bucket = "another"
		inspected(t, open(t, cfg), "probe-").failsAt(t, "bucket", "correct bucket")
	})
	withoutSettings(t)
	b := fake(t, refuse(http.StatusForbidden, ""), func(cfg *Config) { cfg.AccessKey, cfg.SecretKey = "", backends.Secret{} })
	inspected(t, b, "probe-").failsAt(t, "credentials", "access_key and secret_key_file")
}

// Refusals that no server gives on command.
func TestInspectTellsRefusals(t *testing.T) {
	for _, c := range []struct {
		status            int
		code, item, words string
	}{
		{http.StatusBadRequest, "ExpiredToken", "credentials", "renew them"},
		{http.StatusForbidden, "RequestTimeTooSkewed", "credentials", "clock"},
		{http.StatusBadRequest, "AuthorizationHeaderMalformed", "bucket", "region"},
		{http.StatusMovedPermanently, "PermanentRedirect", "bucket", "region"},
		{http.StatusInternalServerError, "InternalError", "bucket", "500"},
	} {
		inspected(t, fake(t, refuse(c.status, c.code), nil), "probe-").failsAt(t, c.item, c.words)
	}
}

func TestInspectTellsClock(t *testing.T) {
	s := server.Versity(t)
	w := startWire(t, s.URL)
	for _, c := range []struct {
		ahead time.Duration
		want  string
	}{{5 * time.Minute, "warn"}, {20 * time.Minute, "FAIL"}} {
		w.response = func(r *http.Response) error {
			r.Header.Set("Date", time.Now().Add(-c.ahead).UTC().Format(http.TimeFormat))
			return nil
		}
		if r := inspected(t, open(t, configBehind(w, s)), ""); !strings.HasPrefix(r["clock"], c.want) {
			t.Errorf("%v: got %q, want %s", c.ahead, r["clock"], c.want)
		}
	}
}

// with returns a configuration whose credentials may do the actions and no
// others, from MinIO's service for temporary ones.
func with(t *testing.T, s server.S3, actions ...string) Config {
	t.Helper()
	withoutSettings(t)
	service := sts.New(sts.Options{
		Region:       defaultRegion,
		BaseEndpoint: &s.URL,
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
	})
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["%s"],"Resource":["arn:aws:s3:::*"]}]}`,
		strings.Join(actions, `","`))
	out, err := service.AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::000000000000:role/any"), RoleSessionName: aws.String("test"), Policy: &policy,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", *out.Credentials.AccessKeyId)
	t.Setenv("AWS_SECRET_ACCESS_KEY", *out.Credentials.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", *out.Credentials.SessionToken)
	cfg := configFor(s)
	cfg.AccessKey, cfg.SecretKey = "", backends.Secret{}
	return cfg
}

func TestInspectTellsPermissions(t *testing.T) {
	s := server.MinIO(t)
	all := []string{"s3:ListBucket", "s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:DeleteObject"}
	for i, item := range []string{"bucket", "put", "get", "upload in parts", "conditional delete"} {
		t.Run(all[i], func(t *testing.T) {
			b := open(t, with(t, s, slices.Delete(slices.Clone(all), i, i+1)...))
			r := inspected(t, b, "probe-")
			if item == "upload in parts" {
				r.want(t, map[string][2]string{item: {"warn", all[i]}})
				return
			}
			if !strings.HasPrefix(r[item], "FAIL") || !strings.Contains(r[item], all[i]) {
				t.Errorf("%s: got %q", item, r[item])
			}
		})
	}
	t.Run("none is missing", func(t *testing.T) {
		inspected(t, open(t, with(t, s, all...)), "probe-").want(t, nil)
	})
}

func TestInspectTellsPublicAccess(t *testing.T) {
	s := server.MinIO(t)
	b := open(t, configFor(s))
	for _, c := range []struct{ action, resource, words string }{
		{"s3:GetObject", s.Bucket + "/*", "read the objects"},
		{"s3:ListBucket", s.Bucket, "list the objects"},
	} {
		policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["%s"],"Resource":["arn:aws:s3:::%s"]}]}`,
			c.action, c.resource)
		if _, err := b.client.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &s.Bucket, Policy: &policy}); err != nil {
			t.Fatal(err)
		}
		inspected(t, b, "probe-").want(t, map[string][2]string{"public access": {"warn", c.words}})
	}
}

func TestInspectEndsWithItsContext(t *testing.T) {
	b := fake(t, hang(t), nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if findings := b.Inspect(ctx, "probe-"); len(findings) == 0 || findings[3].Err == nil {
		t.Errorf("got %+v", findings)
	}
}
