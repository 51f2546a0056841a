// Package progress shows people how far a long piece of work has come.
package progress

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Bar is a line on a terminal with a share, a rate and the time that is left.
// Where there is no terminal it shows nothing. It may be used concurrently.
type Bar struct{ bar *progressbar.ProgressBar }

// New returns a bar for total steps of the work that label names, on w if that
// is a terminal. unit names the steps, as in "files".
func New(w io.Writer, label, unit string, total int64) *Bar {
	f, ok := terminal(w)
	if !ok {
		return &Bar{progressbar.DefaultSilent(total)}
	}
	return &Bar{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(f),
		progressbar.OptionSetDescription(label),
		progressbar.OptionSetItsString(unit),
		progressbar.OptionShowIts(),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

// Add notes that n more steps are done. What goes wrong with showing it is of
// no interest to the work.
func (b *Bar) Add(n int) { _ = b.bar.Add(n) }

// End takes the line away.
func (b *Bar) End() { _ = b.bar.Finish() }

func terminal(w io.Writer) (*os.File, bool) {
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}
