package privileged

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds one question and its answer: a directory may be on a server
// that hangs.
const patience = time.Minute

// maxFiles is the number of descriptors in one answer, at most.
const maxFiles = 8

// Question is what the process that serves asks for.
type Question byte

// Answer is what comes back: a value, and descriptors.
type Answer struct {
	Value any
	Files []*os.File // closed once they are sent
}

// Refusal is an answer that is an error. It comes from [Call] as it was given to
// [Serve].
type Refusal struct {
	Text string
	Code int // for the two sides to agree on
}

func (r *Refusal) Error() string { return r.Text }

// envelope is how a value travels: in a file of its own, since it may hold keys
// and is larger than a message may be.
type envelope struct {
	Error *Refusal        `json:"error,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Call asks q, decodes the value of the answer into value, and returns its
// descriptors.
func Call(c *net.UnixConn, q Question, value any) ([]*os.File, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := c.Write([]byte{byte(q)}); err != nil {
		return nil, err
	}
	files, err := receive(c)
	if err != nil {
		return nil, err
	}
	if err := open(files[0], value); err != nil {
		closeAll(files)
		return nil, err
	}
	files[0].Close()
	return files[1:], nil
}

func receive(c *net.UnixConn) ([]*os.File, error) {
	space := make([]byte, unix.CmsgSpace((maxFiles+1)*4))
	n, spaced, _, _, err := c.ReadMsgUnix(make([]byte, 1), space)
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(space[:spaced])
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // something else
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "handed over"))
		}
	}
	if len(files) == 0 {
		return nil, errors.New("an answer without content")
	}
	return files, nil
}

// open decodes what travelled in f.
func open(f *os.File, value any) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	text := make([]byte, info.Size())
	defer clear(text)
	if _, err := f.ReadAt(text, 0); err != nil {
		return err
	}
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return err
	}
	defer clear(e.Value)
	if e.Error != nil {
		return e.Error
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(e.Value, value)
}

// Serve answers questions until the other side ends the conversation.
func Serve(c *net.UnixConn, answer func(Question) (Answer, error)) error {
	for {
		var q [1]byte
		switch _, err := io.ReadFull(c, q[:]); {
		case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
			return nil
		case err != nil:
			return err
		}
		a, err := answer(Question(q[0]))
		err = send(c, a, err)
		closeAll(a.Files)
		if err != nil {
			return err
		}
	}
}

func send(c *net.UnixConn, a Answer, failure error) error {
	sealed, err := seal(a.Value, failure)
	if err != nil {
		return err
	}
	defer sealed.Close()
	fds := []int{int(sealed.Fd())}
	for _, f := range a.Files {
		fds = append(fds, int(f.Fd()))
	}
	if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix([]byte{0}, unix.UnixRights(fds...), nil)
	return err
}

// seal returns a file in memory that holds a value, for good.
func seal(value any, failure error) (*os.File, error) {
	var e envelope
	if failure != nil && !errors.As(failure, &e.Error) {
		e.Error = &Refusal{Text: failure.Error()}
	} else if failure == nil && value != nil {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		defer clear(text)
		e.Value = text
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	fd, err := unix.MemfdCreate("answer", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "answer")
	if _, err := f.Write(text); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	const all = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, all); err != nil {
		return nil, errors.Join(os.NewSyscallError("seal", err), f.Close())
	}
	return f, nil
}

// Peer returns who is at the other end of c.
func Peer(c *net.UnixConn) (ID, error) {
	conn, err := c.SyscallConn()
	if err != nil {
		return ID{}, err
	}
	var peer *unix.Ucred
	controlled := conn.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(controlled, err); err != nil {
		return ID{}, fmt.Errorf("who is asking: %w", err)
	}
	return ID{peer.Uid, peer.Gid}, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
