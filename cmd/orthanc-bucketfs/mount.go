package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/cmd/internal/logqueue"
	"orthanc-bucketfs/cmd/internal/metrics"
	"orthanc-bucketfs/cmd/internal/probe"
	"orthanc-bucketfs/fs"
	"orthanc-bucketfs/fs/attachment"
	"orthanc-bucketfs/fs/unsettled"
)

// drainPatience is how long a stop waits for files that are being written.
const drainPatience = 80 * time.Second

// unmountPatience is how long it then waits for the kernel to let the mount go,
// which takes milliseconds.
const unmountPatience = 5 * time.Second

func mountCommand() command {
	return command{
		name:    "mount",
		summary: "mount the bucket and serve it until SIGTERM or SIGINT",
		details: `Runs in the foreground and logs to standard error. The line with msg=ready comes
when a round trip to the bucket has succeeded and the mount is up. To stop, it
refuses new files, finishes the commits in flight and unmounts; a second signal
ends it at once.`,
		run: mount,
	}
}

func mount(ctx context.Context, c *call) error {
	flags := c.flagSet()
	file := addConfigFlag(flags)
	if _, err := c.parse(flags); err != nil {
		return err
	}
	helper, kept, err := c.rights(*file)
	load := func() (Config, error) { return helper.loadConfig(*file, c.lookupEnv) }
	var cfg Config
	if err == nil {
		cfg, err = load()
	}
	c.serveStderr(cfg.Log)
	if err != nil {
		return err
	}
	facts := machineMemory()
	collectBefore(facts.Bound)
	m := newMounting(c, *file, load, cfg)
	m.helper = helper
	m.cfg, m.memory = fitMemory(cfg, facts)
	slog.SetDefault(m.log) // for libraries that log by themselves
	ctx, m.stopping = signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer m.stopping()
	if kept != "" {
		m.log.Warn("the mount is served with root's rights, which whoever takes this daemon over would have", "reason", kept)
	}
	err = m.run(ctx)
	if err != nil {
		m.systemd.status("failed: " + err.Error())
	}
	m.systemd.close()
	return err
}

// mounting is one run of the command.
type mounting struct {
	file     string // of the configuration
	cfg      Config
	log      *slog.Logger
	queue    *logqueue.Queue // between log and whoever reads it
	systemd  supervisor
	memory   backends.Finding // what there is to say about it
	helper   *helper          // with root's rights; nil for none
	served   served
	metrics  *metrics.Metrics
	reloader *reloader
	stopping func() // called when the end begins
}

func newMounting(c *call, file string, load func() (Config, error), cfg Config) *mounting {
	level := new(slog.LevelVar)
	log := c.newLog(cfg.Log, level)
	return &mounting{
		file:     file,
		cfg:      cfg,
		log:      log,
		queue:    c.queue,
		systemd:  newSupervisor(log),
		metrics:  metrics.New(metrics.Build{Version: version, Commit: commit}),
		reloader: &reloader{load: load, log: log, level: level, cfg: cfg},
	}
}

func (m *mounting) run(ctx context.Context) error {
	if err := m.helper.openDirectories(m.cfg); err != nil {
		return err
	}
	uploads, err := openUploads(m.cfg, m.log)
	if err != nil {
		return err
	}
	return errors.Join(m.runStack(ctx, uploads), uploads.Close())
}

func (m *mounting) runStack(ctx context.Context, uploads *unsettled.Journal) error {
	logOperation := operationLog(m.log)
	s, err := openStack(ctx, m.cfg, m.log, hooks{
		request: []backends.Observer{m.metrics.Request},
		uploads: uploads,
		breaker: true,
		operation: func(op attachment.Operation) {
			m.metrics.Operation(op)
			logOperation(op)
		},
	})
	if err != nil {
		return err
	}
	m.cfg.handed.forget()
	m.metrics.Watch(metrics.Sources{
		Budget: s.budget, Counters: &s.store.Counters, Keys: s.keys.Load, LogDropped: m.queue.Dropped, Away: s.away,
	})
	m.reloader.keys = s.keys
	return errors.Join(m.mount(ctx, s), s.close())
}

// mount returns when the mount has ended.
func (m *mounting) mount(ctx context.Context, s *stack) error {
	m.systemd.status("trying " + s.bucket.String())
	list := &checklist{report: logFindings(m.log)}
	list.add(m.memory)
	list.store(ctx, m.cfg, s)
	m.helper.machine(list, m.file, m.cfg)
	if err := list.err(); err != nil {
		return err
	}
	if m.cfg.Encryption.AcceptPlaintext {
		m.log.Warn("accept_plaintext is on: objects that are not sealed are shown as they are, also those that somebody else puts " +
			"into the bucket; remove it when all are sealed")
	}
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	vitals := m.vitals(serving, s)
	server, err := m.serveMetrics(s, vitals)
	if err != nil {
		return err
	}
	return errors.Join(m.mountAndServe(ctx, s, vitals), server.Close())
}

// mountAndServe returns when the mount has ended.
func (m *mounting) mountAndServe(ctx context.Context, s *stack, vitals *probe.Probe) error {
	local, err := openLocalDir(m.cfg)
	if err != nil {
		return err
	}
	defer local.Close() // nothing to do without one
	mounted, err := m.startMount(s, local)
	if err != nil {
		return err
	}
	return m.serve(ctx, s, mounted, vitals)
}

// serve returns when the mount has ended.
func (m *mounting) serve(ctx context.Context, s *stack, mounted *fs.Mount, vitals *probe.Probe) error {
	logReady(m.cfg, s, m.log)
	m.systemd.ready("serving " + s.bucket.String() + " on " + m.cfg.Mountpoint)
	watched, unwatch := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer unwatch()
	m.systemd.feedWatchdog(watched, vitals)
	m.reloader.follow(watched, m.systemd)
	background.Go(func() { keepSwept(watched, m.cfg, s.bucket, m.log) })
	background.Go(func() { s.store.LearnNames(watched) })
	if served := m.served.Load(); served != nil && served.watch != nil {
		background.Go(func() { served.watch.wait(watched, served.leave) })
	}
	ended := make(chan struct{})
	go func() {
		mounted.Wait()
		close(ended)
	}()
	select {
	case <-ctx.Done():
		m.stopping()
		m.systemd.stopping("finishing the files that are being written")
		return stopMount(mounted, m.log)
	case <-ended:
		return fmt.Errorf("%s was unmounted by somebody else", m.cfg.Mountpoint)
	}
}

// serveMetrics listens where the configuration says. Without that the Closer
// has nothing to do.
func (m *mounting) serveMetrics(s *stack, vitals *probe.Probe) (io.Closer, error) {
	address := m.cfg.Metrics.Listen
	if address == "" {
		return io.NopCloser(nil), nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, m.cfg.fault("metrics.listen", err, "free the port, or name another")
	}
	if !isLoopback(address) {
		m.log.Warn("metrics are served to the network, without authentication: let a firewall choose who may ask", "address", address)
	}
	health := metrics.Health{
		Mount: vitals.Check,
		Store: reachOf(s).Check,
		Away:  s.away,
	}
	return m.metrics.Serve(l, health, m.cfg.Metrics.Profiling, m.log), nil
}

// reachOf is the question whether the bucket answers.
func reachOf(s *stack) *probe.Probe {
	return probe.New(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), itemPatience)
		defer cancel()
		return s.store.Reach(ctx) // a directory may be on a disk that hangs
	})
}

// openLocalDir returns nil without a local_dir.
func openLocalDir(cfg Config) (*os.File, error) {
	if cfg.LocalDir == "" {
		return nil, nil
	}
	dir, err := os.OpenFile(cfg.at(cfg.LocalDir), os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, cfg.fault("local_dir", err, adviceLocalDir)
	}
	return dir, nil
}

func logReady(cfg Config, s *stack, log *slog.Logger) {
	log.Info("ready", "mountpoint", cfg.Mountpoint, "bucket", s.bucket.String(), "root_path", cfg.RootPath,
		"encryption", describeKeys(s.keys.Load()), "budget_mib", cfg.Encryption.MaxConcurrentInputMiB,
		"read_only", cfg.ReadOnly, "version", version)
}

// stopMount lets what is being written end, then unmounts. An error means that
// files were cut off; nobody was told that they are stored.
func stopMount(m *fs.Mount, log *slog.Logger) error {
	log.Info("stopping: new files are refused, those being written are finished")
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	err := m.Drain(ctx)
	if err != nil {
		err = fmt.Errorf("files were still being written after %s and are given up: %w", drainPatience, err)
	}
	unmount(m, log)
	log.Info("stopped")
	return err
}

// unmount leaves to the end of the process what it cannot end: the kernel keeps
// what is mounted elsewhere, too, for as long as that is.
func unmount(m *fs.Mount, log *slog.Logger) {
	unmounted := make(chan error, 1)
	go func() { unmounted <- m.Unmount() }()
	select {
	case busy := <-unmounted:
		if busy != nil {
			log.Warn("unmounting: "+busy.Error(), "advice", "stop Orthanc before this daemon")
		}
	case <-time.After(unmountPatience):
		log.Warn("what was mounted is still mounted in another mount namespace, as of a container; there it fails from now on",
			"advice", "restart what uses it there")
	}
}
