package pluginconf

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// Around the name of a variable that is not set; no text has them, because they
// are private characters.
const (
	unsetBegin = "\ue000"
	unsetEnd   = "\ue001"
)

// substitute replaces ${NAME} and ${NAME:-default} in JSON without comments, in
// strings and between them. In a string, a variable that is not set leaves a
// mark for unsetVariable; elsewhere it becomes null.
func substitute(text []byte, lookupEnv func(string) (string, bool)) []byte {
	stringOrVariable := regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\$\{[^{}]*\}`)
	variable := regexp.MustCompile(`\$\{[^{}]*\}`)
	return stringOrVariable.ReplaceAllFunc(text, func(token []byte) []byte {
		if token[0] != '"' {
			return []byte(outside(string(token), lookupEnv))
		}
		return variable.ReplaceAllFunc(token, func(v []byte) []byte {
			return []byte(inString(string(v), lookupEnv))
		})
	})
}

func outside(variable string, lookupEnv func(string) (string, bool)) string {
	if value, _, ok := evaluate(variable, lookupEnv); ok {
		return value
	}
	return "null"
}

func inString(variable string, lookupEnv func(string) (string, bool)) string {
	value, name, ok := evaluate(variable, lookupEnv)
	if !ok {
		return unsetBegin + name + unsetEnd
	}
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return value
	}
	text := strings.TrimSpace(quoted.String())
	return text[1 : len(text)-1]
}

// evaluate returns the value of "${NAME}" or "${NAME:-default}".
func evaluate(variable string, lookupEnv func(string) (string, bool)) (value, name string, ok bool) {
	inner := strings.TrimSuffix(strings.TrimPrefix(variable, "${"), "}")
	name, fallback, hasFallback := strings.Cut(inner, ":-")
	if value, ok := lookupEnv(name); ok {
		return value, name, true
	}
	return fallback, name, hasFallback
}

// unsetVariable returns the name of a variable in text that is not set.
func unsetVariable(text string) (name string, found bool) {
	_, rest, found := strings.Cut(text, unsetBegin)
	name, _, _ = strings.Cut(rest, unsetEnd)
	return name, found
}
