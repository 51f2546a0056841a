package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"orthanc-bucketfs/crypto"
)

// reloader takes over, on SIGHUP, what of the configuration can change while
// the bucket is mounted: the level of the log, and the keys. What is wrong with
// the file changes nothing.
type reloader struct {
	load  func() (Config, error)
	log   *slog.Logger
	level *slog.LevelVar
	keys  *keys

	cfg Config // what holds now
}

// follow reloads at every SIGHUP until ctx ends.
func (r *reloader) follow(ctx context.Context, systemd supervisor) {
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hups)
		for {
			select {
			case <-hups:
				systemd.reloading()
				r.reload()
				systemd.reloaded()
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (r *reloader) reload() {
	next, err := r.load()
	defer next.handed.forget()
	var ring *crypto.KeyRing
	if err == nil && r.cfg.Encryption.Enable && next.Encryption.Enable {
		ring, err = next.keyRing()
	}
	if err == nil {
		err = r.checkRing(ring)
	}
	if err != nil {
		r.log.Error("reload: the configuration is wrong, and everything stays as it is", "error", err)
		return
	}
	r.take(next, ring)
}

// checkRing refuses a ring in which an id stands for another key than before:
// one of the two cannot open what was sealed under that id.
func (r *reloader) checkRing(ring *crypto.KeyRing) error {
	old := r.keys.Load()
	if ring == nil || old == nil {
		return nil
	}
	for _, key := range ring.Keys() {
		i := slices.IndexFunc(old.Keys(), func(k crypto.MasterKey) bool { return k.ID() == key.ID() })
		if i >= 0 && old.Keys()[i].Fingerprint() != key.Fingerprint() {
			return fmt.Errorf("key id %d now stands for another key (fingerprint %s, before %s): give a new key a new id",
				key.ID(), key.Fingerprint(), old.Keys()[i].Fingerprint())
		}
	}
	return nil
}

// take makes next hold as far as that goes without a restart.
func (r *reloader) take(next Config, ring *crypto.KeyRing) {
	level, _ := parseLevel(next.Log.Level)
	changed := false
	if r.level.Level() != level {
		changed = true
		r.level.Set(level)
		r.log.Log(context.Background(), max(level, slog.LevelInfo), "reload: log level changed", "level", next.Log.Level)
	}
	if ring != nil {
		changed = r.takeRing(ring) || changed
	}
	if waiting := needRestart(r.cfg, next); len(waiting) > 0 {
		changed = true
		r.log.Warn("reload: some changes need a restart, and are not in effect", "keys", strings.Join(waiting, ", "))
	}
	if !changed {
		r.log.Info("reload: nothing has changed")
	}
	r.cfg.Log.Level, r.cfg.Encryption.MasterKey = next.Log.Level, next.Encryption.MasterKey
	r.cfg.Encryption.PreviousMasterKeys = next.Encryption.PreviousMasterKeys
}

func (r *reloader) takeRing(ring *crypto.KeyRing) (changed bool) {
	old := r.keys.Swap(ring)
	if describeKeys(old) == describeKeys(ring) {
		return false
	}
	r.log.Info("reload: keys changed", "keys", describeKeys(ring), "before", describeKeys(old))
	for _, key := range old.Keys() {
		if !slices.ContainsFunc(ring.Keys(), func(k crypto.MasterKey) bool { return k.ID() == key.ID() }) {
			r.log.Warn("reload: a key is gone: what is sealed with it cannot be opened any more; if that is not meant, "+
				"add it to previous_master_keys", "id", key.ID(), "fingerprint", key.Fingerprint())
		}
	}
	return true
}

// needRestart returns the keys of the configuration that differ and are taken
// over at the start alone.
func needRestart(old, next Config) []string {
	for _, c := range []*Config{&old, &next} {
		c.Log.Level, c.origin = "", origin{}
		c.S3.ReadFile, c.Azure.ReadFile, c.GCS.ReadFile = nil, nil, nil
		c.Encryption.MasterKey, c.Encryption.PreviousMasterKeys = KeyFile{}, nil
	}
	return differences("", reflect.ValueOf(old), reflect.ValueOf(next))
}

// differences returns the names of the values that differ.
func differences(path string, a, b reflect.Value) []string {
	var names []string
	t := a.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		name, ok := field.Tag.Lookup("toml")
		switch {
		case field.Anonymous && field.IsExported():
			names = append(names, differences(path, a.Field(i), b.Field(i))...)
		case !ok || reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
		case field.Type.Kind() == reflect.Struct && !isText(field.Type) && len(differences(joinKey(path, name), a.Field(i), b.Field(i))) > 0:
			names = append(names, differences(joinKey(path, name), a.Field(i), b.Field(i))...)
		default:
			names = append(names, joinKey(path, name))
		}
	}
	return names
}
