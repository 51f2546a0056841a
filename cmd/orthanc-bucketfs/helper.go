package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/privileged"
	"orthanc-bucketfs/crypto"
	"orthanc-bucketfs/fs"
)

const (
	itemHelper    = "helper"
	itemDeadMount = "dead mount"
)

func helperCommand() command {
	return command{
		name:    "helper",
		summary: "do for mount what takes root's rights; systemd and mount start it",
		details: `Answers the process that serves a mount, which has no rights, on the socket that
is its standard input: reads the files that the configuration names, opens its
directories, mounts and unmounts. What it does is for the configuration to say;
nothing that it is asked has arguments. It answers no user but the one that
user in the configuration names.`,
		run: serveHelper,
	}
}

func serveHelper(_ context.Context, c *call) error {
	flags := c.flagSet()
	file := addConfigFlag(flags)
	if _, err := c.parse(flags); err != nil {
		return err
	}
	// It ends when the one that it serves does.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	stdin, ok := c.stdin.(*os.File)
	if !ok {
		return usagef("%s: standard input is no socket: systemd and mount start it", c.name)
	}
	conn, err := unixConn(stdin)
	if err != nil {
		return usagef("%s: standard input: %w: systemd and mount start it", c.name, err)
	}
	defer conn.Close()
	h := &helping{file: *file, lookupEnv: c.lookupEnv}
	if h.peer, err = privileged.Peer(conn); err != nil {
		return err
	}
	return privileged.Serve(conn, h.answer)
}

// helping is one conversation.
type helping struct {
	file      string
	lookupEnv func(string) (string, bool)
	peer      privileged.ID
	mounted   string // where it has mounted
}

// answer does what is asked as the configuration is at this moment. Only what was
// mounted in this conversation is unmounted whatever has become of that.
func (h *helping) answer(q privileged.Question) (privileged.Answer, error) {
	if q == wantUnmount && h.mounted != "" {
		return privileged.Answer{}, fs.Unmount(h.mounted)
	}
	cfg, err := loadConfig(h.file, h.lookupEnv)
	if err != nil {
		return privileged.Answer{}, &privileged.Refusal{Text: err.Error(), Code: exitCode(err)}
	}
	user, err := h.user(cfg)
	if err != nil {
		return privileged.Answer{}, err
	}
	switch q {
	case wantFiles:
		return h.files(cfg)
	case wantDirectories:
		return openDirectories(cfg, user), nil
	case wantMachine:
		return privileged.Answer{Value: machineFindings(h.file, cfg)}, nil
	case wantMount:
		return h.mount(cfg, user)
	case wantUnmount:
		return privileged.Answer{}, fs.Unmount(cfg.Mountpoint)
	}
	return privileged.Answer{}, fmt.Errorf("unknown question %q", q)
}

// user returns who serves the mount. Nobody else is helped, but root, which is at
// the other end when mount has started this process.
func (h *helping) user(cfg Config) (privileged.ID, error) {
	uid, gid, err := resolveOwner(cfg.User)
	if err != nil {
		return privileged.ID{}, cfg.fault("user", err, "")
	}
	if h.peer.UID != 0 && h.peer.UID != uid {
		return privileged.ID{}, cfg.fault("user", fmt.Errorf("%q has uid %d, and uid %d serves the mount", cfg.User, uid, h.peer.UID),
			"name the User= of the unit")
	}
	return privileged.ID{UID: uid, GID: gid}, nil
}

func (h *helping) files(cfg Config) (privileged.Answer, error) {
	text, err := os.ReadFile(h.file)
	if err != nil {
		return privileged.Answer{}, err
	}
	uid, gid, err := resolveOwner(cfg.Owner)
	if err != nil {
		return privileged.Answer{}, cfg.fault("owner", err, "")
	}
	answer := handedFiles{Config: string(text), Files: map[string]handedFile{}, Owner: privileged.ID{UID: uid, GID: gid}}
	credentials, _ := h.lookupEnv(credentialsVariable)
	for path, read := range cfg.files() {
		if credentials != "" && strings.HasPrefix(path, credentials+"/") {
			read = os.ReadFile // systemd has set who may read it
		}
		content, err := read(path)
		switch {
		case err == nil:
			answer.Files[path] = handedFile{Content: content}
		case path != "" && credentials != "" && strings.HasPrefix(path, credentials+"/"):
			// The service that it was made for may see it.
		default:
			answer.Files[path] = handedFile{Error: shownPath(path) + err.Error()}
		}
	}
	return privileged.Answer{Value: answer}, nil
}

// files returns every file that a mount of c reads, and what reads it.
func (c Config) files() map[string]func(path string) ([]byte, error) {
	files := map[string]func(string) ([]byte, error){}
	for _, key := range c.Encryption.keyFiles() {
		files[key.Path] = crypto.ReadKeyText
	}
	switch c.Backend {
	case "s3":
		files[c.S3.SecretKeyFile] = backends.ReadSecretFile
		files[c.S3.CACertificates] = os.ReadFile
	case "azure":
		files[c.Azure.ConnectionStringFile] = backends.ReadSecretFile
	case "gcs":
		files[c.GCS.ServiceAccountFile] = backends.ReadSecretFile
	}
	delete(files, "")
	return files
}

// machineFindings removes a dead mount, and examines what a mount needs here.
func machineFindings(file string, cfg Config) []handedFinding {
	var found []handedFinding
	list := checklist{report: func(f backends.Finding) error {
		h := handedFinding{Item: f.Item, Detail: f.Detail, Warning: f.Warning}
		if f.Err != nil {
			h.Error = f.Err.Error()
		}
		found = append(found, h)
		return nil
	}}
	list.here(file, cfg)
	return found
}

// here removes a dead mount, and examines the files and what else a mount needs
// of this machine.
func (l *checklist) here(file string, cfg Config) {
	l.add(configurationFinding(file, cfg, nil))
	l.add(trustFindings(file, cfg)...)
	l.deadMount(cfg)
	l.machine(cfg)
}

// deadMount removes what a killed daemon has left.
func (l *checklist) deadMount(cfg Config) {
	n, err := cleanMountpoint(cfg.Mountpoint)
	if n > 0 {
		l.add(backends.Finding{Item: itemDeadMount, Detail: cfg.Mountpoint,
			Warning: fmt.Sprintf("%d removed: the daemon that served it was killed", n)})
	}
	if err != nil {
		l.add(backends.Finding{Item: itemDeadMount, Err: err})
	}
}

func (h *helping) mount(cfg Config, user privileged.ID) (privileged.Answer, error) {
	device, err := fs.OpenDevice(cfg.Mountpoint, user.UID, user.GID, cfg.ReadOnly)
	if err != nil {
		return privileged.Answer{}, err
	}
	root, err := os.OpenFile(cfg.Mountpoint, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return privileged.Answer{}, errors.Join(err, fs.Unmount(cfg.Mountpoint), device.Close())
	}
	h.mounted = cfg.Mountpoint
	return privileged.Answer{Files: []*os.File{device, root}}, nil
}
