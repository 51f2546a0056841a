package systemdtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"orthanc-bucketfs/cmd/internal/lab"
)

const (
	clients = 6
	// enough acknowledgements to make the middle of a burst.
	enough = 40
	// most bounds a burst: Orthanc does not stop while somebody sends.
	most = 1200
)

// burst is an upload by several clients.
type burst struct {
	acks chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex // guards stored
	stored []lab.Image
}

// startBurst sends instances until one is refused.
func (m *machine) startBurst(ctx context.Context, corpus []lab.Instance) *burst {
	b := &burst{acks: make(chan struct{}, 1<<20)}
	numbers := make(chan int, most)
	for n := range most {
		numbers <- 1000 + n // lower numbers are in the corpus, and one UID is one image
	}
	close(numbers)
	for range clients {
		b.wg.Go(func() {
			client := m.rest()
			for n := range numbers {
				instance := corpus[n%len(corpus)].Variant(n)
				id, err := client.Upload(ctx, instance.Data)
				if err != nil {
					return
				}
				b.mu.Lock()
				b.stored = append(b.stored, lab.Image{Instance: instance, ID: id,
					Sums: map[string]string{lab.DICOM: lab.MD5(instance.Data)}})
				b.mu.Unlock()
				b.acks <- struct{}{}
			}
		})
	}
	return b
}

// checkStopUnderLoad stops the mount while images are stored: what was
// acknowledged is there when it is mounted again.
func checkStopUnderLoad(m *machine) {
	corpus, err := lab.Corpus()
	if err != nil {
		m.Fatal(err)
	}
	b := m.startBurst(m.ctx, corpus)
	for range enough {
		select {
		case <-b.acks:
		case <-m.ctx.Done():
			m.Fatal("no burst")
		}
	}
	m.stopDaemon()
	b.wg.Wait()
	m.startDaemon()
	m.Logf("%d acknowledged by the time of the stop", len(b.stored))
	m.checkAll(b.stored)
}

// checkDrain stops the mount while somebody writes a file: it is finished
// first, however long that takes, and systemd waits for it.
func checkDrain(m *machine) {
	const uuid = "abcd0000-1111-4222-8333-444455556666"
	const file = mountpoint + "/ab/cd/" + uuid
	// A shell would close the file once before it writes.
	writer := m.command(m.ctx, "perl", "-e", `open(F, ">", $ARGV[0]) or die $!;
		while (<STDIN>) { syswrite(F, $_) or die $! } close(F) or die $!`, file)
	input, err := writer.StdinPipe()
	if err != nil {
		m.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		m.Fatal(err)
	}
	fmt.Fprintln(input, "first")
	m.await("the file", func() error { _, err := m.try("test", "-s", file); return err })
	m.run("systemctl", "stop", "--no-block", daemon)
	m.await("the drain", func() error {
		if text := m.property(daemon, "StatusText"); !strings.HasPrefix(text, "finishing") {
			return fmt.Errorf("status %q", text)
		}
		return nil
	})
	fmt.Fprintln(input, "second")
	if err := errors.Join(input.Close(), writer.Wait()); err != nil {
		m.Error(err)
	}
	m.awaitState(daemon, "inactive")
	sealed := "orthanc-bucketfs unseal --key 1=" + key + " <" + bucket + "/ab/cd/" + uuid
	if content := m.shell(sealed); content != "first\nsecond\n" {
		m.Errorf("in the bucket: %q", content)
	}
	m.startDaemon()
}
