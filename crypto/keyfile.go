package crypto

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxKeyFileSize leaves room for white space around the 44 bytes of a key.
const maxKeyFileSize = 4096

// keyEncoding is the text form of a key. It accepts one text for each key, but
// for the line breaks that package base64 always skips.
var keyEncoding = base64.StdEncoding.Strict()

// ReadKeyFile reads the master key with the given id. The file holds the
// standard base64 text of exactly 32 bytes, white space around it, and nothing
// else. It is a regular file, or a link to one, that neither group nor others
// have any permission for. Errors do not name it: what is given as the path may
// be the key itself.
func ReadKeyFile(id uint32, path string) (MasterKey, error) {
	text, err := ReadKeyText(path)
	if err != nil {
		return MasterKey{}, err
	}
	defer clear(text)
	return ParseKeyText(id, path, text)
}

// ParseKeyText is ReadKeyFile for what [ReadKeyText] has read elsewhere.
func ParseKeyText(id uint32, path string, text []byte) (MasterKey, error) {
	key, err := decodeKey(text)
	if err != nil {
		return MasterKey{}, err
	}
	defer clear(key)
	return NewMasterKey(id, key)
}

// ReadKeyText returns what is in a key file, without a look at it. It is as secret
// as the key.
func ReadKeyText(path string) ([]byte, error) {
	// O_NONBLOCK: opening a named pipe would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: check the path, and that the file belongs to the user of this process", errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file: give the path of one")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("mode %04o gives permissions to group or others: take them away with chmod 600", mode)
	}
	if info.Size() > maxKeyFileSize {
		return nil, fmt.Errorf("%d bytes are too many for a key: give the path of a key file", info.Size())
	}
	text := make([]byte, info.Size())
	if _, err := io.ReadFull(f, text); err != nil {
		clear(text)
		if at := new(fs.PathError); errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("read: %w", err)
	}
	return text, nil
}

func decodeKey(text []byte) ([]byte, error) {
	text = bytes.TrimSpace(text)
	key := make([]byte, keyEncoding.DecodedLen(len(text)))
	n, err := keyEncoding.Decode(key, text)
	if err != nil || n != keySize || len(text) != keyEncoding.EncodedLen(keySize) {
		clear(key)
		return nil, fmt.Errorf("its content is not the base64 text of exactly %d bytes: "+
			"restore the file, or write it anew if nothing was sealed with it", keySize)
	}
	return key[:n], nil
}

// GenerateKeyFile writes a new random key to path, for [ReadKeyFile], with mode
// 0600 whatever the umask. It never overwrites: if there is something at path,
// the error wraps io/fs.ErrExist. When it returns nil the file is durable; on
// any other error there is no new file.
func GenerateKeyFile(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("key file %s: %w: choose a directory that can be written to", path, err)
	}
	defer dir.Close()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key file: %w: it is never overwritten: choose another name", err)
	}
	if err != nil {
		return fmt.Errorf("key file: %w: choose a directory that can be written to", err)
	}
	err = writeKey(f)
	if err == nil {
		err = dir.Sync()
	}
	if err != nil {
		return fmt.Errorf("key file: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// writeKey fills f with a new key, makes it durable, and closes it.
func writeKey(f *os.File) error {
	key := make([]byte, keySize)
	defer clear(key)
	rand.Read(key)
	text := make([]byte, keyEncoding.EncodedLen(keySize)+len("\n"))
	defer clear(text)
	keyEncoding.Encode(text, key)
	text[len(text)-1] = '\n'
	_, err := f.Write(text)
	if err == nil {
		err = f.Chmod(0o600)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
