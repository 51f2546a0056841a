package dir

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// helperEnv makes the test binary a client of the bucket in the directory
// that is its first argument.
const helperEnv = "DIR_TEST_HELPER"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(helperEnv) {
	case "":
		os.Exit(m.Run())
	case "creator":
		err = createForever(os.Args[1], os.Args[2])
	case "holder":
		err = createHeld(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bodyOf makes an object's body from its key, which ends in its size.
func bodyOf(key string) []byte {
	size, err := strconv.Atoi(key[strings.LastIndexByte(key, '-')+1:])
	if err != nil {
		panic(err)
	}
	body := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(key))).Read(body)
	return body
}

// createForever creates objects below prefix in several goroutines, and prints
// each key when its Create has succeeded. Only an error or a signal ends it.
func createForever(path, prefix string) error {
	b, err := Open(path)
	if err != nil {
		return err
	}
	const workers = 4
	errs := make(chan error, workers)
	for w := range workers {
		go func() {
			for i := 0; ; i++ {
				size := 1000
				if i%2 == w%2 {
					size = 2_000_000
				}
				key := fmt.Sprintf("%s/d%d/%d-%d", prefix, i%3, i*workers+w, size)
				if _, err := b.Create(context.Background(), key, bodyOf(key)); err != nil {
					errs <- err
					return
				}
				fmt.Println(key)
			}
		}()
	}
	return <-errs
}

// held blocks at the nth look at it until a line comes from standard input.
type held struct {
	context.Context
	mu   sync.Mutex // guards left
	left int
}

func (h *held) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left--; h.left == 0 {
		fmt.Println("held")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	}
	return h.Context.Err()
}

func heldBody() []byte { return bytes.Repeat([]byte("x"), writePiece+1) }

// createHeld creates the object "held" and stops between its two pieces.
func createHeld(path string) error {
	b, err := Open(path)
	if err != nil {
		return err
	}
	const afterFirstPiece = 3
	_, err = b.Create(&held{Context: context.Background(), left: afterFirstPiece}, "held", heldBody())
	return err
}
