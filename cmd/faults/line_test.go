package faults_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/backendtest"
	"orthanc-bucketfs/backends/backendtest/wire"
)

var errTrouble = errors.New("input/output error")

// fault is something that happens between a machine and the bytes in a bucket.
type fault struct {
	name string
	wire wire.Fault        // what a proxy does; nil if there is no such thing
	call backendtest.Fault // what a failing disk does; nil likewise

	harmless bool // calls succeed although every request has it
	hangs    bool // calls that have it end with their deadline
	bytes    bool // it is about the bytes that are read
}

func faults() []fault {
	never := backendtest.NewGate()
	return []fault{
		{name: "503", wire: wire.Refuse(http.StatusServiceUnavailable, "1"), call: backendtest.Fail(errTrouble)},
		{name: "429", wire: wire.Refuse(http.StatusTooManyRequests, "1")},
		{name: "reset before the body", wire: wire.ResetBefore},
		{name: "reset after the body", wire: wire.ResetAfter},
		{name: "answer cut short", wire: wire.CutAnswer, call: backendtest.CutShort(10), bytes: true},
		{name: "delay", wire: wire.Delay(50 * time.Millisecond), harmless: true},
		{name: "answer lost", wire: wire.LoseAnswer, call: backendtest.LoseAnswer(errTrouble)},
		{name: "carried out late", wire: wire.Late(300 * time.Millisecond)},
		{name: "hang", wire: wire.Hang, call: backendtest.Hold(never), hangs: true},
		{name: "hang after carrying out", wire: wire.HangAfter, call: backendtest.HoldAnswer(never), hangs: true},
		{name: "damage", wire: wire.Damage, call: backendtest.FlipBit(100), bytes: true},
	}
}

// line leads from one machine to a bucket.
type line struct {
	bucket backends.Bucket

	// next gives the fault to the next request that is of the kind, which nil
	// makes any; all gives it to every request; heal takes it away.
	next func(kind func(*http.Request) bool)
	all  func()
	heal func()

	wait func() // until nothing is under way
}

func (p provider) line(t *testing.T, f fault) line {
	t.Helper()
	proxy := wire.New(t, p.url)
	return line{
		bucket: p.bucket(t, proxy.URL, 1),
		next: func(kind func(*http.Request) bool) {
			done := false
			proxy.Inject(func(r *http.Request) wire.Fault {
				if done || kind != nil && !kind(r) {
					return nil
				}
				done = true
				return f.wire
			})
		},
		all:  func() { proxy.Inject(func(*http.Request) wire.Fault { return f.wire }) },
		heal: func() { proxy.Inject(nil) },
		wait: proxy.Wait,
	}
}

// lineToDisk is a line to a bucket that makes no requests.
func lineToDisk(b backends.Bucket, f fault) line {
	faulty := backendtest.NewFaulty(b)
	inject := func(happens func() bool) {
		faulty.Inject(func(backendtest.Call) backendtest.Fault {
			if happens() {
				return f.call
			}
			return nil
		})
	}
	return line{
		bucket: faulty,
		next: func(func(*http.Request) bool) {
			var done atomic.Bool
			inject(func() bool { return done.CompareAndSwap(false, true) })
		},
		all:  func() { inject(func() bool { return true }) },
		heal: func() { faulty.Inject() },
		wait: func() {},
	}
}
