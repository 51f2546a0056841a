package systemdtest

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	daemon  = "orthanc-bucketfs.service"
	orthanc = "orthanc.service"
)

// property returns what systemd knows of a unit.
func (m *machine) property(unit, name string) string {
	m.Helper()
	return strings.TrimSpace(m.run("systemctl", "show", "--property", name, "--value", unit))
}

// number is property for a number.
func (m *machine) number(unit, name string) int {
	m.Helper()
	n, err := strconv.Atoi(m.property(unit, name))
	if err != nil {
		m.Fatal(err)
	}
	return n
}

// kill sends a signal to the main process of the daemon's unit.
func (m *machine) kill(signal string) {
	m.Helper()
	m.run("systemctl", "kill", "--kill-whom=main", "--signal="+signal, daemon)
}

// awaitState waits until a unit is in a state, as in "active".
func (m *machine) awaitState(unit, state string) {
	m.Helper()
	m.await(unit+" to be "+state, func() error {
		if got := m.property(unit, "ActiveState"); got != state {
			return fmt.Errorf("it is %s (%s)", got, m.property(unit, "SubState"))
		}
		return nil
	})
}

// life is one run of the daemon and one of Orthanc.
type life struct{ daemon, orthanc int }

func (m *machine) life() life {
	m.Helper()
	return life{m.number(daemon, "MainPID"), m.number(orthanc, "MainPID")}
}

// awaitNextLife waits until both run that did not run before.
func (m *machine) awaitNextLife(before life) {
	m.Helper()
	m.await("the daemon and Orthanc to run again", func() error {
		now := m.life()
		if now.daemon == 0 || now.daemon == before.daemon || now.orthanc == 0 || now.orthanc == before.orthanc {
			return fmt.Errorf("processes %v, before %v", now, before)
		}
		return nil
	})
	m.awaitState(daemon, "active")
	m.awaitState(orthanc, "active")
	m.awaitREST()
}
