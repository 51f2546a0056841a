package pluginconf

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

const pageWidth = 110

// page is TOML that is being written.
type page struct{ text strings.Builder }

// set writes a key and its value: a string, a boolean or a whole number.
func (p *page) set(key string, value any) {
	fmt.Fprintf(&p.text, "%s = %s\n", key, literal(value))
}

// keep is set unless value is empty.
func (p *page) keep(key, value string) {
	if value != "" {
		p.set(key, value)
	}
}

func (p *page) table(name string) { fmt.Fprintf(&p.text, "\n[%s]\n", name) }

// comment writes a sentence, in lines of limited width.
func (p *page) comment(format string, args ...any) {
	line := "#"
	for _, word := range strings.Fields(fmt.Sprintf(format, args...)) {
		if len(line)+1+len(word) > pageWidth && line != "#" {
			p.text.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	p.text.WriteString(line + "\n")
}

// leftOut says why an option of the plugin has no equivalent.
func (p *page) leftOut(option, why string) { p.comment("%s is left out: %s", option, why) }

// literal returns value as it is written in TOML.
func literal(value any) string {
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(map[string]any{"v": value}); err != nil {
		panic(fmt.Sprintf("TOML cannot hold a %T: %v", value, err))
	}
	return strings.TrimSpace(strings.TrimPrefix(text.String(), "v = "))
}
