package attachment

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/fs/unsettled"
)

// interleavings is how many faults there are in one interleaving, at most.
var interleavings = flag.Int("interleavings", 2, "faults in one interleaving at most")

// choices goes through all sequences of choices, depth first.
type choices struct {
	taken, widths []int
	at            int
}

// next returns a number below n.
func (c *choices) next(n int) int {
	if c.at == len(c.taken) {
		c.taken, c.widths = append(c.taken, 0), append(c.widths, n)
	}
	c.at++
	return min(c.taken[c.at-1], n-1)
}

// advance prepares the next sequence. It reports false after the last one.
func (c *choices) advance() bool {
	c.at = 0
	for i := len(c.taken) - 1; i >= 0; i-- {
		if c.taken[i]++; c.taken[i] < c.widths[i] {
			c.taken, c.widths = c.taken[:i+1], c.widths[:i+1]
			return true
		}
	}
	return false
}

// world is a bucket in which requests are late and answers are lost, as chosen,
// one attachment in it, and what is known of that.
type world struct {
	backends.Bucket // of memory
	conditions      backends.Conditions
	mayKill         bool
	mayRepeat       bool
	takes           time.Duration // a request to the bucket, and as long its answer

	mu       sync.Mutex // guards the fields below
	choose   *choices
	faults   int      // left
	late     []func() // requests that have not arrived
	acked    string   // version that was acknowledged; empty if none is
	unlinked bool     // somebody has asked for its delete
	wrong    string   // what should never be
	killed   func()   // takes what the process on machine 1 leaves
	dead     bool     // that process was killed
	history  []string
}

// machine is the bucket as one process sees it.
type machine struct {
	*world
	mortal bool
}

// arrivals lets late requests arrive, if that is chosen.
func (w *world) arrivals() {
	for len(w.late) > 0 && w.choose.next(2) == 1 {
		arrive := w.late[0]
		w.late = w.late[1:]
		arrive()
	}
	w.check()
}

// check proves that what was acknowledged is there, and nothing else.
func (w *world) check() {
	if w.acked == "" || w.wrong != "" {
		return
	}
	if obj, err := w.Bucket.Stat(context.Background(), testUUID(1).Key()); err != nil || obj.Version != w.acked {
		w.wrong = fmt.Sprintf("acknowledged version %s, there is %q (%v)", w.acked, obj.Version, err)
	}
}

const (
	answered = iota
	answerLost
	lateForNow
	killedBefore
	killedAfter
	copyLate // sent twice below: the second time it is carried out, and the first one is late
	copyLateAnswerLost
)

// possible are the outcomes of a request that changes something.
func (m machine) possible(what string) []int {
	p := []int{answered, answerLost, lateForNow}
	if m.mayKill && m.mortal {
		p = append(p, killedBefore, killedAfter)
	}
	if m.mayRepeat && what == "create" {
		p = append(p, copyLate, copyLateAnswerLost)
	}
	return p
}

// do carries out a request that changes something.
func (m machine) do(ctx context.Context, what string, request func() (backends.Object, error)) (backends.Object, error) {
	time.Sleep(m.takes)
	defer time.Sleep(m.takes)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mortal && m.dead {
		return backends.Object{}, errOutage
	}
	m.arrivals()
	outcome := answered
	if possible := m.possible(what); m.faults > 0 {
		outcome = possible[m.choose.next(len(possible))]
	}
	if outcome != answered {
		m.faults--
	}
	m.history = append(m.history, fmt.Sprintf("%s:%d", what, outcome))
	switch outcome {
	case lateForNow:
		m.isLate(what, request)
		return backends.Object{}, errOutage
	case copyLate, copyLateAnswerLost:
		m.isLate(what, request)
		backends.Repeat(ctx)
	case killedBefore:
		m.kill()
		return backends.Object{}, errOutage
	}
	obj, err := request()
	switch outcome {
	case killedAfter:
		m.kill()
	case answerLost, copyLateAnswerLost:
		obj, err = backends.Object{}, errOutage
	}
	m.check()
	return obj, err
}

func (w *world) isLate(what string, request func() (backends.Object, error)) {
	w.late = append(w.late, func() {
		w.history = append(w.history, what+" arrives")
		_, _ = request()
	})
}

func (m machine) kill() {
	m.dead = true
	m.killed()
}

// Create overwrites on a store without conditions, where all that it does is to
// look before it is sent.
func (m machine) Create(ctx context.Context, key string, body []byte) (backends.Object, error) {
	body, ctx = bytes.Clone(body), context.WithoutCancel(ctx)
	_, looked := m.Bucket.Stat(ctx, key)
	overwrites := !m.conditions.Create && errors.Is(looked, fs.ErrNotExist)
	return m.do(ctx, "create", func() (backends.Object, error) {
		if overwrites {
			_ = m.Bucket.Delete(ctx, key, "")
		}
		return m.Bucket.Create(ctx, key, body)
	})
}

func (m machine) Delete(ctx context.Context, key, version string) error {
	if !m.conditions.Delete {
		version = ""
	}
	ctx = context.WithoutCancel(ctx)
	_, err := m.do(ctx, "delete", func() (backends.Object, error) {
		return backends.Object{}, m.Bucket.Delete(ctx, key, version)
	})
	return err
}

// look fails, or does not.
func (m machine) look(what string, request func() error) error {
	time.Sleep(m.takes)
	defer time.Sleep(m.takes)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mortal && m.dead {
		return errOutage
	}
	m.arrivals()
	if m.faults > 0 && m.choose.next(2) == 1 {
		m.faults--
		m.history = append(m.history, what+":1")
		return errOutage
	}
	m.history = append(m.history, what+":0")
	return request()
}

func (m machine) Read(ctx context.Context, key, version string, p []byte, off int64) (n int, obj backends.Object, err error) {
	err = m.look("read", func() (err error) {
		n, obj, err = m.Bucket.Read(ctx, key, version, p, off)
		return err
	})
	return n, obj, err
}

func (m machine) Stat(ctx context.Context, key string) (obj backends.Object, err error) {
	err = m.look("stat", func() (err error) {
		obj, err = m.Bucket.Stat(ctx, key)
		return err
	})
	return obj, err
}

func (m machine) Conditions() backends.Conditions { return m.conditions }

// plot is what happens to the attachment.
type plot struct {
	name       string
	codec      func(*testing.T) Codec
	conditions backends.Conditions
	kill       bool // the process may be killed; the next one goes on
	other      bool // another machine tries what the first one could not store
	repeats    bool // a request may be sent twice below
	unlink     bool // what was stored is deleted
	forget     bool // when the daemon does not know the version any more
	again      bool // and stored once more
	pause      time.Duration
	takes      time.Duration // every request on its way, and every answer
}

// Orthanc repeats a failed store under the same name. Whatever arrives late, is
// lost, or dies: what was acknowledged is there until it is deleted, and what was
// not acknowledged goes, or is reported.
func TestInterleavings(t *testing.T) {
	all := backends.Conditions{Create: true, Delete: true}
	envelopes := func(t *testing.T) Codec { return Sealed(testRing(t, 1)) }
	plaintext := func(*testing.T) Codec { return Plain() }
	total := 0
	for _, p := range []plot{
		{name: "tries", codec: envelopes, conditions: all, pause: 5 * time.Millisecond},
		{name: "slow tries", codec: envelopes, conditions: all, pause: 1500 * time.Millisecond},
		{name: "slow tries in a plain bucket", codec: plaintext, conditions: all, pause: 1500 * time.Millisecond},
		{name: "far away", codec: envelopes, conditions: all, pause: 5 * time.Millisecond, takes: 400 * time.Millisecond},
		{name: "far away, no conditional delete, plain", codec: plaintext, conditions: backends.Conditions{Create: true}, pause: 5 * time.Millisecond, takes: 700 * time.Millisecond},
		{name: "no conditional delete", codec: envelopes, conditions: backends.Conditions{Create: true}, pause: 1500 * time.Millisecond},
		{name: "no conditions", codec: envelopes, pause: 1500 * time.Millisecond},
		{name: "no conditions, plain", codec: plaintext, pause: 5 * time.Millisecond},
		{name: "unlink", codec: envelopes, conditions: all, unlink: true, again: true, pause: 1500 * time.Millisecond},
		{name: "unlink in a plain bucket without conditions", codec: plaintext, unlink: true, again: true, pause: 1500 * time.Millisecond},
		{name: "unlink of what was sent twice", codec: envelopes, conditions: all, repeats: true, unlink: true, pause: 5 * time.Millisecond},
		{name: "unlink of what was sent twice, no conditional delete, plain", codec: plaintext, conditions: backends.Conditions{Create: true}, repeats: true, unlink: true, pause: 1500 * time.Millisecond},
		{name: "unlink of what was sent twice, and another store", codec: envelopes, conditions: all, repeats: true, unlink: true, again: true, pause: 1500 * time.Millisecond},
		{name: "unlink of what was sent twice, and killed", codec: envelopes, conditions: all, repeats: true, kill: true, unlink: true, pause: 5 * time.Millisecond},
		{name: "sent twice, and killed", codec: envelopes, conditions: all, repeats: true, kill: true, pause: 1500 * time.Millisecond},
		{name: "unlink, and killed", codec: envelopes, conditions: all, kill: true, unlink: true, again: true, pause: 1500 * time.Millisecond},
		{name: "unlink of what is not known, and killed", codec: envelopes, conditions: all, kill: true, unlink: true, forget: true, again: true, pause: 1500 * time.Millisecond},
		{name: "unlink, and killed, no conditions, plain", codec: plaintext, kill: true, unlink: true, again: true, pause: 1500 * time.Millisecond},
		{name: "kill", codec: envelopes, conditions: all, kill: true, pause: 1500 * time.Millisecond},
		{name: "kill in a plain bucket", codec: plaintext, conditions: all, kill: true, pause: 1500 * time.Millisecond},
		{name: "another machine", codec: envelopes, conditions: all, other: true, pause: 1500 * time.Millisecond},
	} {
		t.Run(p.name, func(t *testing.T) {
			n := 0
			for c := new(choices); ; n++ {
				synctest.Test(t, func(t *testing.T) { p.run(t, c) })
				if t.Failed() || !c.advance() {
					break
				}
			}
			total += n + 1
			t.Logf("%d interleavings", n+1)
		})
	}
	t.Logf("%d interleavings in all", total)
}

// run goes through one interleaving.
func (p plot) run(t *testing.T, c *choices) {
	w := &world{Bucket: backendtest.NewMem(), conditions: p.conditions, mayKill: p.kill, mayRepeat: p.repeats, takes: p.takes, choose: c, faults: *interleavings}
	dir := t.TempDir()
	first := p.process(t, machine{w, true}, filepath.Join(dir, "1"))
	var second, other *rig
	w.killed = func() { copyFile(t, filepath.Join(dir, "1"), filepath.Join(dir, "2")) }
	r := first
	restart := func() {
		if w.isDead() && second == nil {
			second = p.process(t, machine{w, false}, filepath.Join(dir, "2"))
			r = second
		}
	}
	for try := 0; try < 3 && w.acked == ""; try++ {
		restart()
		if p.other && try > 0 && other == nil {
			other = p.process(t, machine{w, false}, "")
			r = other
		}
		w.store(r)
		w.sleep(p.pause)
	}
	restart()
	if p.unlink && w.acked != "" {
		if p.forget {
			w.sleep(time.Minute)
		}
		w.unlink(t, r)
		for again := 0; p.again && again < 2 && w.acked == ""; again++ {
			w.sleep(p.pause)
			restart()
			w.store(r)
		}
	}
	restart()
	for _, pause := range []time.Duration{3 * time.Second, time.Minute, 5 * time.Minute} {
		w.sleep(pause)
		restart()
	}
	w.vanish()
	time.Sleep(2 * time.Hour)
	w.end(t, first, second, other)
	if _, err := w.Bucket.Stat(t.Context(), testUUID(1).Key()); w.unlinked && !p.forget && w.acked == "" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was to be deleted is left: %v", w.history)
	}
}

func (p plot) process(t *testing.T, m machine, journal string) *rig {
	return newRig(t, p.codec(t), func(o *Options) {
		o.Bucket = m
		o.Timing.Looks = []time.Duration{time.Second, 10 * time.Second, 5 * time.Minute, 10 * time.Minute}
		if journal == "" || !p.kill {
			return
		}
		j, doubtful, err := unsettled.OpenJournal(journal)
		if err != nil || doubtful > 0 {
			t.Fatal(doubtful, err)
		}
		o.Journal = j
		t.Cleanup(func() { j.Close() })
	})
}

func copyFile(t *testing.T, from, to string) {
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

func (w *world) isDead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

func (w *world) store(r *rig) {
	wasDead := w.isDead()
	info, err := commit(r, testUUID(1), "the content of a file that Orthanc stores")
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && wasDead == w.dead {
		w.acked = info.Version
		w.history = append(w.history, "acknowledged")
	}
	r.unsettled.Told(testUUID(1).Key())
	w.check()
}

func (w *world) unlink(t *testing.T, r *rig) {
	w.mu.Lock()
	w.acked, w.unlinked = "", true
	w.history = append(w.history, "unlink")
	w.mu.Unlock()
	if err := r.Delete(t.Context(), testUUID(1)); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.history = append(w.history, "not deleted")
	}
}

func (w *world) sleep(d time.Duration) {
	time.Sleep(d)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, d.String())
	w.arrivals()
}

// vanish loses what has not arrived by now, and all that goes wrong.
func (w *world) vanish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late, w.faults = nil, 0
}

func (w *world) end(t *testing.T, processes ...*rig) {
	reported := int64(0)
	for i, r := range processes {
		if r != nil {
			r.Close()
			if i > 0 || !w.isDead() { // nobody hears what the dead one would have said
				reported += r.Counters.OrphansLeft.Load()
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.check()
	if w.wrong != "" {
		t.Errorf("%s: %v", w.wrong, w.history)
	}
	_, err := w.Bucket.Stat(t.Context(), testUUID(1).Key())
	if w.acked == "" && !errors.Is(err, fs.ErrNotExist) && reported == 0 {
		t.Errorf("an object that nobody knows is left, and nobody was told: %v", w.history)
	}
}
