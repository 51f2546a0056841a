package progress

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Share is a Bar for work of which only the share that is done is known.
type Share struct {
	bar   *Bar
	shown bool

	mu   sync.Mutex // guards done
	done int
}

// ShareSteps is what a whole is of a Share.
const ShareSteps = 1 << 16

// NewShare returns a Share on w if that is a terminal.
func NewShare(w io.Writer, label string) *Share {
	f, ok := terminal(w)
	if !ok {
		return &Share{bar: &Bar{progressbar.DefaultSilent(ShareSteps)}}
	}
	return &Share{shown: true, bar: &Bar{progressbar.NewOptions64(ShareSteps,
		progressbar.OptionSetWriter(f),
		progressbar.OptionSetDescription(label),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}}
}

// Reach notes that steps of ShareSteps are done, and shows label with it. It
// never goes back.
func (s *Share) Reach(steps int, label string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bar.bar.Describe(label)
	if steps > s.done {
		s.bar.Add(steps - s.done)
		s.done = steps
	}
}

// Shown tells whether there is a terminal that it is on.
func (s *Share) Shown() bool { return s.shown }

// End takes the line away.
func (s *Share) End() { s.bar.End() }
