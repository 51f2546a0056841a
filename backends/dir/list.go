package dir

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"orthanc-bucketfs/backends"
)

const (
	pageSize   = 1000
	entryBatch = 1024 // directory entries read between two looks at the context
)

// List walks only what can hold the next entries. Its token is the last entry
// of the page.
func (b *Bucket) List(ctx context.Context, opts backends.ListOptions) (backends.Page, error) {
	if opts.Limit <= 0 {
		opts.Limit = pageSize
	}
	l := &lister{ctx: ctx, root: b.root, opts: opts}
	if err := l.start(b); err != nil {
		return backends.Page{}, &backends.Error{Op: "list", Key: opts.Prefix, Err: err}
	}
	return l.page, nil
}

// lister gathers one page.
type lister struct {
	ctx  context.Context
	root *os.Root
	opts backends.ListOptions
	page backends.Page
	last string // entry added last
}

// entry is an object, or a directory if its key ends in a slash: with it
// directories sort as the keys below them do.
type entry struct {
	key  string
	info fs.FileInfo
}

func (e entry) isDir() bool { return strings.HasSuffix(e.key, "/") }

// start walks the deepest directory that holds all keys with the prefix.
func (l *lister) start(b *Bucket) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	if err := b.present(); err != nil {
		return err
	}
	dir := l.opts.Prefix[:strings.LastIndexByte(l.opts.Prefix, '/')+1]
	if dir != "" {
		name := strings.TrimSuffix(dir, "/")
		if !fs.ValidPath(name) || !holds(name) {
			return nil
		}
		if err := b.checkParents(dir); err != nil {
			if missing(err) {
				return nil
			}
			return err
		}
	}
	_, err := l.walk(dir)
	return err
}

// walk adds what is in dir, which is empty or ends in a slash, and below. It
// reports whether the page is complete.
func (l *lister) walk(dir string) (done bool, err error) {
	entries, err := l.read(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		switch {
		case !e.isDir():
			done = l.addObject(describe(e.key, e.info))
		case l.folds(e.key):
			done, err = l.addPrefix(e.key)
		default:
			done, err = l.walk(e.key)
		}
		if done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// read returns the entries of dir that matter, in key order. A directory that
// has gone is empty.
func (l *lister) read(dir string) ([]entry, error) {
	d, err := l.root.Open(cmp.Or(strings.TrimSuffix(dir, "/"), "."))
	if err != nil {
		if missing(err) {
			return nil, nil
		}
		return nil, err
	}
	defer d.Close()
	var entries []entry
	for {
		if err := l.ctx.Err(); err != nil {
			return nil, err
		}
		infos, err := d.Readdir(entryBatch)
		for _, fi := range infos {
			if e, ok := newEntry(dir, fi); ok && l.wants(e) {
				entries = append(entries, e)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	return entries, nil
}

// newEntry reports false for what cannot be, or hold, an object.
func newEntry(dir string, fi fs.FileInfo) (entry, bool) {
	name := dir + fi.Name()
	if !fs.ValidPath(name) || !holds(name) {
		return entry{}, false
	}
	if fi.IsDir() {
		return entry{name + "/", fi}, true
	}
	return entry{name, fi}, fi.Mode().IsRegular()
}

// wants tells whether e, or something below it, can be on this page or a later
// one.
func (l *lister) wants(e entry) bool {
	prefix, token := l.opts.Prefix, l.opts.Token
	if !e.isDir() || l.folds(e.key) {
		return strings.HasPrefix(e.key, prefix) && e.key > token
	}
	return (strings.HasPrefix(e.key, prefix) || strings.HasPrefix(prefix, e.key)) &&
		(e.key > token || strings.HasPrefix(token, e.key))
}

// folds tells whether the directory is listed as one common prefix.
func (l *lister) folds(dir string) bool {
	return l.opts.Shallow && len(dir) > len(l.opts.Prefix) && strings.HasPrefix(dir, l.opts.Prefix)
}

func (l *lister) addObject(obj backends.Object) (done bool) {
	if l.full() {
		return true
	}
	l.page.Objects = append(l.page.Objects, obj)
	l.last = obj.Key
	return false
}

// addPrefix adds a directory if there is an object in it, at any depth.
func (l *lister) addPrefix(dir string) (done bool, err error) {
	first := &lister{
		ctx:  l.ctx,
		root: l.root,
		opts: backends.ListOptions{Prefix: dir, Limit: 1},
	}
	if _, err := first.walk(dir); err != nil || len(first.page.Objects) == 0 {
		return false, err
	}
	if l.full() {
		return true, nil
	}
	l.page.Prefixes = append(l.page.Prefixes, dir)
	l.last = dir
	return false, nil
}

// full sets the token of the next page when there is no room for one more
// entry.
func (l *lister) full() bool {
	if len(l.page.Objects)+len(l.page.Prefixes) < l.opts.Limit {
		return false
	}
	l.page.Next = l.last
	return true
}
