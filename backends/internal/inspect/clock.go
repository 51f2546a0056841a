package inspect

import (
	"fmt"
	"net/http"
	"time"

	"orthanc-bucketfs/backends"
)

// clockWarning is the difference between two clocks that is worth a warning.
const clockWarning = 30 * time.Second

// compareClocks compares the Date of an answer, which the store wrote between
// sent and received, with this machine's clock. The store refuses requests from
// limit on; 0 is not known.
func compareClocks(date string, sent, received time.Time, limit time.Duration) backends.Finding {
	theirs, err := http.ParseTime(date)
	if err != nil {
		return Doubtful("the store does not tell the time: compare this machine's clock with a time server")
	}
	// The header has whole seconds, cut off.
	theirs = theirs.Add(time.Second / 2)
	ours := sent.Add(received.Sub(sent) / 2)
	ahead := ours.Sub(theirs).Round(time.Second)
	skew, where := ahead, "ahead of"
	if ahead < 0 {
		skew, where = -ahead, "behind"
	}
	text := fmt.Sprintf("this machine's clock is %s %s the store's", skew, where)
	const advice = ": set the clock (systemd-timesyncd or chrony keep it right)"
	switch {
	case limit > 0 && skew >= limit:
		return Wrong(fmt.Errorf("%s, and from %s on it refuses requests%s", text, limit, advice))
	case skew >= clockWarning:
		return Doubtful(text + advice)
	}
	return Fine(fmt.Sprintf("differs by %s from the store's", skew))
}
