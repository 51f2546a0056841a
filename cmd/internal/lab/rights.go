package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// DaemonUser is who serves mounts that root starts here, in place of the unit's
// user: two numbers that have no account.
const DaemonUser = "64711:64712"

// ErrDirective reports a line of a unit's [Service] that nobody has thought
// about here.
var ErrDirective = errors.New("cannot be understood")

// Rights are what a unit lets its process do, as far as a process can be given
// that without systemd.
type Rights struct {
	User            string
	Capabilities    []string // the bounding set, as in CAP_CHOWN
	NoNewPrivileges bool
	UMask           string
	LimitNOFILE     string
	LimitCORE       string
	Environment     []string
}

// ShippedRights are those of the unit that the package installs. It is looked
// for in the source tree that holds the working directory.
func ShippedRights() (Rights, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Rights{}, err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "systemd", "orthanc-bucketfs.service"))
		if err == nil {
			return ParseUnit(string(text))
		}
		up := filepath.Dir(dir)
		if !errors.Is(err, os.ErrNotExist) || up == dir {
			return Rights{}, fmt.Errorf("the unit that is shipped: %w", err)
		}
		dir = up
	}
}

// ParseUnit returns the rights in the section [Service] of a unit.
func ParseUnit(text string) (Rights, error) {
	var r Rights
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			section = line
		case section == "[Service]":
			name, value, _ := strings.Cut(line, "=")
			if !r.set(name, value) {
				return Rights{}, fmt.Errorf("%q in [Service] %w: say in lab.Rights what the tests are to make of it", line, ErrDirective)
			}
		}
	}
	return r, nil
}

// set takes one directive over, and says whether it is known.
func (r *Rights) set(name, value string) bool {
	switch name {
	case "CapabilityBoundingSet":
		r.Capabilities = append(r.Capabilities, strings.Fields(value)...)
		return !strings.HasPrefix(value, "~")
	case "NoNewPrivileges":
		r.NoNewPrivileges = value == "yes"
	case "UMask":
		r.UMask = value
	case "LimitNOFILE":
		r.LimitNOFILE = value
	case "LimitCORE":
		r.LimitCORE = value
	case "Environment":
		if !strings.HasPrefix(value, helperVariable+"=") { // mount has a helper of its own here
			r.Environment = append(r.Environment, value)
		}
		return !strings.ContainsAny(value, ` "'`)
	case "User":
		r.User = value
	default:
		return onlySystemd(name)
	}
	return true
}

// onlySystemd names what only systemd can do, or what has no bearing on a
// daemon that the tests start and stop. A booted systemd is tested elsewhere.
func onlySystemd(name string) bool {
	switch name {
	case "Type", "ExecStart", "ExecReload", "ExecStopPost", "Restart", "RestartSec", "RestartPreventExitStatus",
		"RestartForceExitStatus", "SuccessExitStatus", "TimeoutStartSec", "TimeoutStopSec", "WatchdogSec", "KillMode", "SyslogIdentifier",
		"StandardOutput", "StandardError", // the tests read the log
		"RuntimeDirectory", "RuntimeDirectoryMode", "RuntimeDirectoryPreserve", "StateDirectory", "StateDirectoryMode",
		"MemorySwapMax", "KeyringMode", "LoadCredential", // control groups and keyrings
		"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", // what the daemon sees of the machine
		"ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectHostname", "RemoveIPC",
		"ProtectClock", "LockPersonality", "MemoryDenyWriteExecute", "RestrictAddressFamilies", "RestrictNamespaces",
		"RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber",
		"DevicePolicy", "DeviceAllow": // filters of system calls and devices
		return true
	}
	return false
}

// limited is a script that runs the arguments after the first three with a file
// mode mask and two limits. A hard limit that this machine does not let root
// raise stays.
const limited = `umask "$1"
ulimit -n "$2" 2>/dev/null || ulimit -n "$(ulimit -H -n)"
ulimit -c "$3"
shift 3
exec "$@"`

// Command returns the command with which root runs argv within the limits of
// these rights. The rest mount gives up by itself: Check tells whether it has.
func (r Rights) Command(argv ...string) []string {
	command := append([]string{"sh", "-euc", limited, "sh", r.UMask, r.LimitNOFILE, r.LimitCORE, "env"}, r.Environment...)
	return append(command, argv...)
}

// helperVariable is what a unit tells the daemon of its helper by.
const helperVariable = "ORTHANC_BUCKETFS_HELPER"

// Check returns an error if a process has other rights than these.
func (r Rights) Check(pid int) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	uid, gid, _ := strings.Cut(DaemonUser, ":")
	want := map[string]string{"Uid": uid, "Gid": gid, "Groups": "", "NoNewPrivs": "1"}
	if r.User == "" || len(r.Capabilities) > 0 || !r.NoNewPrivileges {
		return fmt.Errorf("the unit gives its process rights (%+v): mount gives all of them up", r)
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		want[set] = strings.Repeat("0", 16)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		wanted, asked := want[name]
		for _, got := range strings.Fields(value) {
			if asked && got != wanted {
				return fmt.Errorf("the daemon has %s %q, wanted %q", name, value, wanted)
			}
		}
	}
	return nil
}
