package privileged

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns the two ends of a connection.
func pair(t *testing.T) (one, other *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "end")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	return ends[0], ends[1]
}

// serving answers at the other end, until that is closed.
func serving(t *testing.T, answer func(Question) (Answer, error)) *net.UnixConn {
	t.Helper()
	one, other := pair(t)
	served := make(chan error, 1)
	go func() { served <- Serve(other, answer) }()
	t.Cleanup(func() {
		one.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return one
}

// Values of any size arrive, with descriptors, one answer after the other.
func TestConversation(t *testing.T) {
	large := bytes.Repeat([]byte("key"), 1<<20)
	c := serving(t, func(q Question) (Answer, error) {
		if q == 'e' {
			return Answer{}, nil
		}
		r, w, err := os.Pipe()
		if err != nil {
			return Answer{}, err
		}
		w.WriteString("through " + string(q))
		return Answer{Value: large, Files: []*os.File{r, w}}, nil
	})
	for _, q := range []Question{'a', 'b'} {
		var got []byte
		files, err := Call(c, q, &got)
		if err != nil || !bytes.Equal(got, large) || len(files) != 2 {
			t.Fatalf("%c: %d bytes, %d files, %v", q, len(got), len(files), err)
		}
		files[1].Close()
		if text, err := io.ReadAll(files[0]); err != nil || string(text) != "through "+string(q) {
			t.Errorf("%c: %q, %v", q, text, err)
		}
		if flags, err := unix.FcntlInt(files[0].Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("children would inherit it: %v", err)
		}
		files[0].Close()
	}
	if files, err := Call(c, 'e', nil); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestRefusal(t *testing.T) {
	c := serving(t, func(q Question) (Answer, error) {
		if q == 'c' {
			return Answer{}, &Refusal{Text: "wrong configuration", Code: 2}
		}
		return Answer{}, errors.New("no such directory")
	})
	for q, want := range map[Question]Refusal{'c': {"wrong configuration", 2}, 'x': {"no such directory", 0}} {
		var got *Refusal
		if _, err := Call(c, q, nil); !errors.As(err, &got) || *got != want {
			t.Errorf("%c: %v", q, err)
		}
	}
}

// One who does not answer, or answers nothing, is no refusal.
func TestNoAnswer(t *testing.T) {
	one, other := pair(t)
	other.Close()
	if _, err := Call(one, 'x', nil); err == nil || errors.As(err, new(*Refusal)) {
		t.Errorf("%v", err)
	}
	one, other = pair(t)
	other.Write([]byte{0})
	if _, err := Call(one, 'x', nil); err == nil || !strings.Contains(err.Error(), "without content") {
		t.Errorf("%v", err)
	}
}

// What travels cannot be changed by whoever gets it.
func TestSealed(t *testing.T) {
	f, err := seal("value", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("it can be written to")
	}
}

func TestPeer(t *testing.T) {
	one, _ := pair(t)
	peer, err := Peer(one)
	if want := (ID{uint32(os.Geteuid()), uint32(os.Getegid())}); err != nil || peer != want {
		t.Errorf("%v, %v", peer, err)
	}
}
