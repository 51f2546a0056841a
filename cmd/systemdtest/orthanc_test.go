package systemdtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/cmd/internal/lab"
)

// rest returns a client for the Orthanc in the machine.
func (m *machine) rest() *lab.Orthanc {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		return m.dial(ctx, network, address)
	}
	return lab.Connect("http://127.0.0.1:8042", &http.Transport{DialContext: dial, DisableKeepAlives: true})
}

// dial connects from within the network namespace of the machine.
func (m *machine) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread has left the network of this process, and ends with the
		// goroutine because it stays locked.
		runtime.LockOSThread()
		var namespace *os.File
		if namespace, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", m.init)); err != nil {
			return
		}
		defer namespace.Close()
		if err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err == nil {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
		}
	}()
	<-done
	return conn, err
}

// awaitREST waits until Orthanc answers.
func (m *machine) awaitREST() {
	m.Helper()
	m.await("Orthanc to answer", func() error {
		_, err := m.rest().Statistics(m.ctx)
		return err
	})
}

// store stores all instances of the corpus.
func (m *machine) store(instances []lab.Instance) []lab.Image {
	m.Helper()
	client := m.rest()
	var images []lab.Image
	for _, i := range instances {
		image, err := client.StoreREST(m.ctx, i)
		if err != nil {
			m.Fatal(err)
		}
		images = append(images, image)
	}
	return images
}

// checkAll reads all images back.
func (m *machine) checkAll(images []lab.Image) {
	m.Helper()
	client := m.rest()
	err := lab.Each(4, images, func(i lab.Image) error { return client.Check(m.ctx, i) })
	if err != nil {
		m.Error(err)
	}
}
