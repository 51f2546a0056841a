package main

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// decodeConfig decodes text over the defaults. It refuses what is not TOML, and
// every key and every type that Config does not have.
func decodeConfig(file, text string) (Config, error) {
	var tree map[string]any
	if _, err := toml.Decode(text, &tree); err != nil {
		return Config{}, syntaxFault(file, err)
	}
	cfg := defaultConfig()
	cfg.origin = origin{file: file, lines: keyLines(text)}
	f := faults{origin: cfg.origin}
	f.checkShape("", tree, reflect.TypeFor[Config]())
	if err := f.err(); err != nil {
		return Config{}, err
	}
	if _, err := toml.Decode(text, &cfg); err != nil {
		return Config{}, syntaxFault(file, err)
	}
	return cfg, nil
}

func syntaxFault(file string, err error) error {
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		return &configError{file: file, line: syntax.Position.Line, err: fmt.Errorf("not valid TOML: %s", syntaxMeaning(syntax.Message)),
			remedy: "mend the line; config.toml.example shows every key"}
	}
	return &configError{file: file, err: errors.New("a value cannot be taken"), remedy: "compare it with config.toml.example"}
}

// syntaxMeaning says in words of our own what the decoder means. It quotes what
// it did not expect, which may be a secret without its quotes.
func syntaxMeaning(message string) string {
	for _, known := range []struct{ part, meaning string }{
		{"has already been defined", "a key or a table is there twice"},
		{"was already created", "a key or a table is there twice"},
		{"is not a table", "a table has the name of a key"},
		{"unexpected EOF", "the file ends in the middle of something, as after a quote without a second one"},
		{"cannot contain newlines", "a string has no closing quote"},
		{"invalid escape", `a backslash in "..." stands before what it cannot escape; write the string in '...'`},
		{"after '\\", `a backslash in "..." stands before what it cannot escape; write the string in '...'`},
		{"UTF-8", "it is not written in UTF-8"},
		{"control characters", "it has a control character"},
		{"expected value", "a value is missing, or is a string without quotes"},
		{"nvalid", "a value is no number and no time, or is a string without quotes"},
		{"number", "a value is no number, or is a string without quotes"},
		{"digit", "a value is no number, or is a string without quotes"},
		{"out of range", "a number is too large"},
		{"expected '.' or '='", "after the name of a key there is no equals sign"},
	} {
		if strings.Contains(message, known.part) {
			return known.meaning
		}
	}
	return "something stands where it cannot be"
}

// checkShape finds the keys in value that t does not have, and the values of
// another type. The decoder stops at the first, in no certain order, and takes
// keys in any case of letters.
func (f *faults) checkShape(path string, value any, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := value.(type) {
	case map[string]any:
		switch {
		case t.Kind() == reflect.Map:
			for key, element := range v {
				f.checkShape(joinKey(path, key), element, t.Elem())
			}
			return
		case t.Kind() == reflect.Struct && !isText(t):
			f.checkTable(path, v, t)
			return
		}
	case []map[string]any:
		if t.Kind() == reflect.Slice {
			for i, element := range v {
				f.checkShape(joinIndex(path, i), element, t.Elem())
			}
			return
		}
	case []any:
		if t.Kind() == reflect.Slice {
			for i, element := range v {
				f.checkShape(joinIndex(path, i), element, t.Elem())
			}
			return
		}
	case string:
		if t.Kind() == reflect.String || isText(t) {
			return
		}
	case time.Time:
		if t == reflect.TypeFor[time.Time]() {
			f.checkOffset(path, v)
			return
		}
	case int64:
		if t.Kind() == reflect.Int64 || t.Kind() == reflect.Int {
			return
		}
	default:
		if reflect.TypeOf(v) == t {
			return
		}
	}
	f.add(path, wanted(t), "is %s", describe(value))
}

// checkOffset refuses a time that means another instant on a machine with
// another time zone.
func (f *faults) checkOffset(path string, t time.Time) {
	if zone := t.Location().String(); strings.HasSuffix(zone, "-local") { // so the decoder marks it
		f.add(path, "write "+exampleTime+", with date, time and offset", "is a date or time without an offset from UTC")
	}
}

const exampleTime = "2026-01-31T00:00:00Z"

// isText reports that values of type t are written as strings, as secrets are.
func isText(t reflect.Type) bool {
	return t != reflect.TypeFor[time.Time]() && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func (f *faults) checkTable(path string, table map[string]any, t reflect.Type) {
	fields := make(map[string]reflect.Type)
	var names []string
	for _, field := range reflect.VisibleFields(t) {
		if name, ok := field.Tag.Lookup("toml"); ok {
			fields[name] = field.Type
			names = append(names, name)
		}
	}
	for key, value := range table {
		if fields[key] == nil {
			f.add(joinKey(path, key), "remove it, or correct it to one of "+strings.Join(names, ", "), "unknown key")
			continue
		}
		f.checkShape(joinKey(path, key), value, fields[key])
	}
}

func describe(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	}
	return "an array"
}

// wanted tells how to write a value of type t.
func wanted(t reflect.Type) string {
	if isText(t) {
		return "write a string, in quotes"
	}
	if t == reflect.TypeFor[time.Time]() {
		return "write a date and time without quotes, as in " + exampleTime
	}
	switch t.Kind() {
	case reflect.String:
		return "write a string, in quotes"
	case reflect.Bool:
		return "write true or false, without quotes"
	case reflect.Int64, reflect.Int:
		return "write a whole number, without quotes"
	case reflect.Slice:
		return "write an array, in [ ]"
	}
	return "write a table, with its keys in { } or below a [header]"
}
