package backends

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const credential = "wJalrXUtnFEMI"

func TestSecretIsNeverPrinted(t *testing.T) {
	secret := NewSecret(credential)
	type exported struct{ Secret Secret }
	type hidden struct{ secret Secret }
	values := []any{
		secret, &secret, []Secret{secret}, map[string]Secret{"key": secret},
		exported{secret}, &exported{secret}, hidden{secret}, &hidden{secret}, []hidden{{secret}},
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%t", "%o", "%p", "%b", "%e"} {
		for _, v := range values {
			if text := fmt.Sprintf(verb, v); tells(text) {
				t.Errorf("%s of %T gives %s", verb, v, text)
			}
		}
		if text := fmt.Sprintf(verb, secret); text != redacted && verb != "%p" {
			t.Errorf("%s gives %s, want %s", verb, text, redacted)
		}
	}
	for _, v := range values {
		if text, _ := json.Marshal(v); tells(string(text)) {
			t.Errorf("JSON of %T gives %s", v, text)
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		if tells(log.String()) {
			t.Errorf("log of %T gives %s", v, log.String())
		}
	}
	text, err := secret.MarshalText()
	if err != nil || tells(string(text)) || tells(secret.String()) || tells(secret.GoString()) || tells(secret.LogValue().String()) {
		t.Errorf("a method gives the credential, error %v", err)
	}
}

// tells finds the credential as it is, in hexadecimal, or as numbers.
func tells(text string) bool {
	for _, form := range []string{"%s", "%x", "%X", "%d"} {
		if strings.Contains(text, strings.Trim(fmt.Sprintf(form, []byte(credential)), "[]")) {
			return true
		}
	}
	return false
}

func TestSecretReveals(t *testing.T) {
	var read Secret
	if err := read.UnmarshalText([]byte(credential)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Secret{read, NewSecret(credential)} {
		if s.IsZero() || s.Reveal() != credential || s.String() == "" {
			t.Errorf("got %d bytes, want the credential", len(s.Reveal()))
		}
	}
	for _, s := range []Secret{{}, NewSecret("")} {
		if !s.IsZero() || s.Reveal() != "" || s.String() != "" {
			t.Error("the empty secret is not empty")
		}
	}
}
