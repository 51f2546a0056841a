package lab

import (
	"context"
	"testing"
	"time"
)

// The server ends in order, and with whoever
// started it: it changes its user on the way, which would take its death signal.
func TestPostgreSQLEnds(t *testing.T) {
	root := trixie(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	port, err := NewPorts().Free()
	if err != nil {
		t.Fatal(err)
	}
	server, err := StartPostgreSQL(ctx, root, t.TempDir(), port)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(ctx); err != nil {
		t.Errorf("%v:\n%s", err, server.Log)
	}
	wantDeath(t, "LAB_TEST_PARENT="+t.TempDir(), "LAB_TEST_DEBIAN="+root)
}
