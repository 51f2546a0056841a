package backends

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"orthanc-bucketfs/backends/internal/secretfile"
)

const redacted = "(redacted)"

// Secret is a credential in a configuration. Printing, logging or marshaling
// it gives a placeholder; Reveal alone gives the credential. The zero value is
// the empty secret: none was given.
type Secret struct {
	// Behind a pointer because fmt ignores the methods of values in unexported
	// fields, and prints what they hold. It does not follow this one.
	value *string
}

// NewSecret returns value as a secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal returns the credential, empty if none was given.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero tells whether no credential was given.
func (s Secret) IsZero() bool { return s.value == nil }

// String returns a placeholder, or nothing if no credential was given.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// GoString returns a placeholder.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// Format prints a placeholder, whatever the verb.
func (s Secret) Format(f fmt.State, verb rune) { io.WriteString(f, s.String()) }

// LogValue returns a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns a placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON returns a placeholder.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalText takes the credential from a configuration.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// ReadSecretFile returns what a file of credentials holds, on the terms of the
// backends: it is a regular file that nobody but its owner has any permission for.
func ReadSecretFile(path string) ([]byte, error) { return secretfile.Read(path, nil) }
