package pluginconf

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
)

// section is an object of the configuration. It notes which options were asked
// for, so that the others can be reported.
type section struct {
	path   string // empty for the whole document
	values map[string]any
	asked  map[string]bool
	faults *[]error
}

func (d Document) root(faults *[]error) *section {
	return &section{"", d.values, map[string]bool{}, faults}
}

// sub returns the section under option; nil if there is none.
func (s *section) sub(option string) *section {
	s.asked[option] = true
	values, ok := s.values[option].(map[string]any)
	if !ok {
		if s.has(option) {
			s.fault(option, "is no JSON object: correct it")
		}
		return nil
	}
	return &section{s.name(option), values, map[string]bool{}, s.faults}
}

func (s *section) name(option string) string {
	if s.path == "" {
		return option
	}
	return s.path + "." + option
}

// shown is the name of an option that nobody knows, unless it does not look like
// one: then it may be a secret.
func (s *section) shown(option string) string {
	if !regexp.MustCompile(`^([A-Z]{1,9}[a-z]{1,14}[0-9]?){1,6}$`).MatchString(option) || len(option) > 30 {
		option = "(a name that is not shown)"
	}
	return s.name(option)
}

func (s *section) fault(option, format string, args ...any) {
	*s.faults = append(*s.faults, fmt.Errorf("%s: %s", s.name(option), fmt.Sprintf(format, args...)))
}

// has reports whether option is set, to whatever.
func (s *section) has(option string) bool {
	s.asked[option] = true
	return s.values[option] != nil
}

// text returns the string of option, empty if there is none.
func (s *section) text(option string) string {
	if !s.has(option) {
		return ""
	}
	text, ok := s.values[option].(string)
	if !ok {
		s.fault(option, "is no string: correct it")
		return ""
	}
	if name, found := unsetVariable(text); found {
		s.fault(option, "the environment variable %s is not set: set it as Orthanc's service has it", name)
		return ""
	}
	return text
}

// required returns the string of option, which must not be empty.
func (s *section) required(option string) string {
	if !s.has(option) || s.values[option] == "" {
		s.fault(option, "is not set: without it the plugin does not start, either")
		return ""
	}
	return s.text(option)
}

// number returns the whole number of option, and whether there is one.
func (s *section) number(option string) (int64, bool) {
	if !s.has(option) {
		return 0, false
	}
	number, _ := s.values[option].(json.Number)
	n, err := number.Int64()
	if err != nil || n < 0 {
		s.fault(option, "is no whole number from 0 on: correct it")
		return 0, false
	}
	return n, true
}

// flag returns the boolean of option, or otherwise.
func (s *section) flag(option string, otherwise bool) bool {
	if !s.has(option) {
		return otherwise
	}
	value, ok := s.values[option].(bool)
	if !ok {
		s.fault(option, "is neither true nor false: correct it")
	}
	return value
}

// unasked returns, in order, the options that nobody has asked for.
func (s *section) unasked() []string {
	var options []string
	for option := range s.values {
		if !s.asked[option] {
			options = append(options, option)
		}
	}
	slices.Sort(options)
	return options
}
