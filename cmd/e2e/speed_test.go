package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"orthanc-bucketfs/backends/backendtest/server"
	"orthanc-bucketfs/backends/backendtest/wire"
	"orthanc-bucketfs/cmd/internal/access"
	"orthanc-bucketfs/cmd/internal/lab"
)

const (
	speedFiles   = 400
	speedSize    = 512 << 10
	speedThreads = 8
)

// BenchmarkMount stores and reads files of 512 KiB as Orthanc does, eight at a
// time, on a Versity S3 Gateway: through a mount, through one that is the sole
// writer, and by turns with them the same bytes as objects with the AWS SDK as it
// comes. The ratios are of files a second; that of cpu is of the processor time
// that the daemon takes for a stored file to what a process with the SDK takes.
func BenchmarkMount(b *testing.B) {
	if len(shared.missing) > 0 {
		b.Skipf("this machine lacks:\n%s", strings.Join(shared.missing, "\n"))
	}
	b.Run("loopback", func(b *testing.B) { benchmarkMount(b, 0) })
	b.Run("20ms", func(b *testing.B) { benchmarkMount(b, 20*time.Millisecond) })
}

func benchmarkMount(b *testing.B, latency time.Duration) {
	store := server.Versity(b)
	if latency > 0 {
		proxy := wire.New(b, store.URL)
		proxy.Inject(func(*http.Request) wire.Fault { return wire.Delay(latency) })
		store.URL = proxy.URL
	}
	mount, sole := speedSite(b, store, "mount", false), speedSite(b, store, "alone", true)
	var sdk, mounted, alone speed
	for b.Loop() {
		sdk.ofSDK(b, store)
		mounted.ofMount(b, mount, "msg=ready")
		alone.ofMount(b, sole, "the names of all files are known")
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.N*speedFiles)/sdk.store.Seconds(), "sdk-stores/s")
	b.ReportMetric(float64(b.N*speedFiles)/sdk.read.Seconds(), "sdk-reads/s")
	b.ReportMetric(sdk.store.Seconds()/mounted.store.Seconds(), "store-ratio")
	b.ReportMetric(sdk.store.Seconds()/alone.store.Seconds(), "sole-store-ratio")
	b.ReportMetric(sdk.read.Seconds()/mounted.read.Seconds(), "read-ratio")
	if latency == 0 { // else the proxy's share is in that of the SDK
		b.ReportMetric(mounted.cpu.Seconds()/sdk.cpu.Seconds(), "cpu-ratio")
		b.ReportMetric(alone.cpu.Seconds()/sdk.cpu.Seconds(), "sole-cpu-ratio")
	}
}

// speedSite returns a site whose objects are under root in store. Nothing local
// is in its mount, so that the kernel gathers writes.
func speedSite(b *testing.B, store server.S3, root string, alone bool) *lab.Site {
	b.Helper()
	site, err := lab.NewSite(b.Context(), shared.plain, b.TempDir(), 1024)
	if err == nil {
		err = site.KeepIndexApart(1024)
	}
	if err == nil && alone {
		err = site.StoreAlone(1024)
	}
	if err == nil {
		err = site.Use(1024, "s3", fmt.Sprintf("bucket = %q\nendpoint = %q\naccess_key = %q\nsecret_key = %q\npath_style = true",
			store.Bucket, store.URL, store.AccessKey, store.SecretKey), "")
	}
	file := filepath.Join(site.Dir, "config.toml")
	config, readErr := os.ReadFile(file)
	if err == nil && readErr == nil {
		err = os.WriteFile(file, fmt.Appendf(nil, "root_path = %q\n%s", root, config), 0o600)
	}
	if err != nil || readErr != nil {
		b.Fatal(err, readErr)
	}
	b.Cleanup(func() {
		if err := site.Detach(); err != nil {
			b.Error(err)
		}
	})
	return site
}

// speed is the time that all rounds have taken.
type speed struct{ store, read, cpu time.Duration }

func (s *speed) ofSDK(b *testing.B, store server.S3) {
	client := awss3.New(awss3.Options{
		Region: "us-east-1", BaseEndpoint: &store.URL, UsePathStyle: true, Logger: logging.Nop{},
		Credentials: credentials.NewStaticCredentialsProvider(store.AccessKey, store.SecretKey, ""),
	})
	keys := speedNames(b)
	own := strconv.Itoa(os.Getpid())
	before := cpuTime(b, own)
	s.store += inThreads(b, keys, func(key string, content []byte) error {
		_, err := client.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: &store.Bucket, Key: &key, Body: bytes.NewReader(content)})
		return err
	})
	s.cpu += cpuTime(b, own) - before
	s.read += inThreads(b, keys, func(key string, content []byte) error {
		out, err := client.GetObject(b.Context(), &awss3.GetObjectInput{Bucket: &store.Bucket, Key: &key})
		if err != nil {
			return err
		}
		defer out.Body.Close()
		_, err = io.ReadFull(out.Body, content[:aws.ToInt64(out.ContentLength)])
		return err
	})
}

// ofMount reads from a daemon that has been started anew. A daemon is measured
// when it has logged that it is ready.
func (s *speed) ofMount(b *testing.B, site *lab.Site, ready string) {
	files := speedNames(b)
	onMount(b, site, ready, func(daemon string) {
		before := cpuTime(b, daemon)
		s.store += inThreads(b, files, func(file string, content []byte) error {
			return access.Store(filepath.Join(site.Mountpoint(), file), content)
		})
		s.cpu += cpuTime(b, daemon) - before
	})
	onMount(b, site, ready, func(string) {
		s.read += inThreads(b, files, func(file string, content []byte) error {
			n, err := access.Read(filepath.Join(site.Mountpoint(), file), content)
			if err == nil && n != speedSize {
				err = io.ErrUnexpectedEOF
			}
			return err
		})
	})
}

func onMount(b *testing.B, site *lab.Site, ready string, do func(pid string)) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	daemon, err := site.Mount(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := daemon.Stop(ctx); err != nil {
			b.Error(err)
		}
	}()
	if err := daemon.Await(ctx, ready); err != nil {
		b.Fatal(err)
	}
	do(strconv.Itoa(daemon.Pid()))
}

func speedNames(b *testing.B) []string {
	b.Helper()
	names, err := access.Names(speedFiles)
	if err != nil {
		b.Fatal(err)
	}
	return names
}

// inThreads does something with every name, and returns how long all took.
func inThreads(b *testing.B, names []string, do func(name string, content []byte) error) time.Duration {
	b.Helper()
	queue := make(chan string, len(names))
	for _, name := range names {
		queue <- name
	}
	close(queue)
	var threads sync.WaitGroup
	begin := time.Now()
	for range speedThreads {
		threads.Go(func() {
			content := make([]byte, speedSize)
			_, _ = rand.Read(content)
			for name := range queue {
				if err := do(name, content); err != nil {
					b.Error(err)
				}
			}
		})
	}
	threads.Wait()
	return time.Since(begin)
}

// cpuTime returns the processor time of a process, as /proc tells it: in ticks
// of 10 ms.
func cpuTime(b *testing.B, pid string) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		b.Fatal(err)
	}
	// Field 2 is the command in parentheses and may hold anything; 14 and 15 are
	// what is asked for.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, err := strconv.Atoi(fields[14-3])
	if err != nil {
		b.Fatal(err)
	}
	system, err := strconv.Atoi(fields[15-3])
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
