package main

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// keyLines returns the line, counted from 1, of every key, table and array
// element in text, which must be valid TOML. The decoder does not tell them.
//
// A path joins keys with dots and counts array elements from 0, as in
// `encryption.previous_master_keys[0].id`; keys that are not bare are quoted.
func keyLines(text string) map[string]int {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"} {
		text = strings.TrimPrefix(text, mark) // the decoder skips them, too
	}
	s := lineScanner{text: text, lines: map[string]int{}, elements: map[string]int{}}
	table := ""
	for s.skip(" \t\r\n"); !s.atEnd(); s.skip(" \t\r\n") {
		if s.take("[") {
			table = s.header()
		} else {
			s.keyValue(table)
		}
	}
	return s.lines
}

func joinKey(path, key string) string {
	if path == "" {
		return toml.Key{key}.String()
	}
	return path + "." + toml.Key{key}.String()
}

func joinIndex(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// lineScanner walks through valid TOML. On anything else it finds too little,
// but it always ends.
type lineScanner struct {
	text     string
	pos      int            // of the next byte
	lines    map[string]int // what was found
	elements map[string]int // how many elements an array of tables has so far
}

func (s *lineScanner) atEnd() bool  { return s.pos >= len(s.text) }
func (s *lineScanner) rest() string { return s.text[min(s.pos, len(s.text)):] }
func (s *lineScanner) line() int    { return 1 + strings.Count(s.text[:s.pos], "\n") }

func (s *lineScanner) take(token string) bool {
	found := strings.HasPrefix(s.rest(), token)
	if found {
		s.pos += len(token)
	}
	return found
}

// skip moves on to the first byte that is neither in set nor in a comment.
func (s *lineScanner) skip(set string) {
	for !s.atEnd() {
		switch c := s.text[s.pos]; {
		case c == '#':
			s.until("\n")
		case strings.IndexByte(set, c) >= 0:
			s.pos++
		default:
			return
		}
	}
}

// until moves on to the first byte that is in set.
func (s *lineScanner) until(set string) {
	if n := strings.IndexAny(s.rest(), set); n >= 0 {
		s.pos += n
	} else {
		s.pos = len(s.text)
	}
}

// note records where path was first seen.
func (s *lineScanner) note(path string, line int) {
	if _, ok := s.lines[path]; !ok {
		s.lines[path] = line
	}
}

// enter notes key in the table path and returns the path that keys after it
// belong to. For an array of tables that is its last element.
func (s *lineScanner) enter(path, key string, line int) string {
	path = joinKey(path, key)
	s.note(path, line)
	if n := s.elements[path]; n > 0 {
		path = joinIndex(path, n-1)
		s.note(path, line)
	}
	return path
}

// header reads "[a.b]" or "[[a.b]]" after its first bracket and returns the
// path of the table.
func (s *lineScanner) header() string {
	line, isElement := s.line(), s.take("[")
	path, keys := "", s.keys()
	for i, key := range keys {
		if isElement && i == len(keys)-1 {
			s.elements[joinKey(path, key)]++
		}
		path = s.enter(path, key, line)
	}
	s.lines[path] = line // wins over "[a.b.c]" further up
	s.take("]")
	s.take("]")
	return path
}

func (s *lineScanner) keyValue(path string) {
	line := s.line()
	for _, key := range s.keys() {
		path = s.enter(path, key, line)
	}
	s.take("=")
	s.skip(" \t")
	s.value(path)
}

// keys reads a dotted key.
func (s *lineScanner) keys() []string {
	var keys []string
	for {
		s.skip(" \t")
		keys = append(keys, s.key())
		s.skip(" \t")
		if !s.take(".") {
			return keys
		}
	}
}

func (s *lineScanner) key() string {
	start := s.pos
	if strings.HasPrefix(s.rest(), `"`) || strings.HasPrefix(s.rest(), "'") {
		s.quoted()
		return unquoteKey(s.text[start:s.pos])
	}
	s.until(" \t\r\n.=]")
	return s.text[start:s.pos]
}

func unquoteKey(quoted string) string {
	var v struct{ Key string }
	if _, err := toml.Decode("key = "+quoted, &v); err != nil {
		return quoted
	}
	return v.Key
}

func (s *lineScanner) value(path string) {
	switch rest := s.rest(); {
	case strings.HasPrefix(rest, `"`), strings.HasPrefix(rest, "'"):
		s.quoted()
	case s.take("["):
		s.array(path)
	case s.take("{"):
		s.inlineTable(path)
	default:
		s.pos = min(s.pos+1, len(s.text))
		s.until(",]}#\n")
	}
}

func (s *lineScanner) array(path string) {
	for i := 0; ; i++ {
		s.skip(", \t\r\n")
		if s.atEnd() || s.take("]") {
			return
		}
		element := joinIndex(path, i)
		s.note(element, s.line())
		s.value(element)
	}
}

func (s *lineScanner) inlineTable(path string) {
	for {
		s.skip(", \t\r\n")
		if s.atEnd() || s.take("}") {
			return
		}
		s.keyValue(path)
	}
}

// quoted reads a string of any of the four kinds.
func (s *lineScanner) quoted() {
	quote := s.text[s.pos : s.pos+1]
	end := quote
	if strings.HasPrefix(s.rest(), strings.Repeat(quote, 3)) {
		end = strings.Repeat(quote, 3)
	}
	s.pos += len(end)
	for !s.atEnd() && !s.take(end) {
		s.until(quote + `\`)
		if quote == `"` && s.take(`\`) {
			s.pos++
		} else if !strings.HasPrefix(s.rest(), end) {
			s.pos++
		}
	}
	// A multi-line string may hold two quotes right before its end.
	for i := 0; i < 2 && len(end) == 3 && s.take(quote); i++ {
	}
	s.pos = min(s.pos, len(s.text))
}
