package pluginconf

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// encryption translates StorageEncryption. Where the plugin stores plaintext
// because of a mistake in it, that is an error.
func (c *conversion) encryption() {
	c.table("encryption")
	crypto := c.plugin.sub("StorageEncryption")
	switch {
	case crypto == nil || len(crypto.values) == 0:
		c.plaintext("has no StorageEncryption")
	case !crypto.flag("Enable", true):
		c.plaintext("has disabled StorageEncryption")
	default:
		c.keys(crypto)
	}
}

func (c *conversion) plaintext(why string) {
	c.comment("ATTENTION: the plugin %s, so the bucket holds plaintext, and so will what is stored from now on. To seal what is new, "+
		"write these two lines instead, with a key from 'orthanc-bucketfs keygen FILE':", why)
	c.text.WriteString("#   master_key = { id = 1, path = \"FILE\" }\n#   accept_plaintext = true\n")
	c.set("enable", false)
}

func (c *conversion) keys(crypto *section) {
	if !crypto.has("MasterKey") {
		crypto.fault("MasterKey", "is missing: the plugin then stores plaintext without a word; name the key, or set Enable to false if that is what you want")
		return
	}
	if key, ok := masterKey(crypto, "MasterKey", crypto.values["MasterKey"]); ok {
		c.text.WriteString("master_key = " + key + "\n")
	}
	c.previousKeys(crypto)
	if n, ok := crypto.number("MaxConcurrentInputSize"); ok {
		c.set("max_concurrent_input_mib", n)
	}
	for _, option := range crypto.unasked() {
		c.leftOut(crypto.shown(option), "the plugin has no option of that name.")
	}
}

func (c *conversion) previousKeys(crypto *section) {
	if !crypto.has("PreviousMasterKeys") {
		return
	}
	list, ok := crypto.values["PreviousMasterKeys"].([]any)
	if !ok {
		crypto.fault("PreviousMasterKeys", "is no array: correct it; the plugin overlooks it")
		return
	}
	c.text.WriteString("previous_master_keys = [\n")
	for i, value := range list {
		if key, ok := masterKey(crypto, "PreviousMasterKeys["+strconv.Itoa(i)+"]", value); ok {
			c.text.WriteString("  " + key + ",\n")
		}
	}
	c.text.WriteString("]\n")
}

// masterKey returns [ID, "PATH"] as an inline table.
func masterKey(crypto *section, name string, value any) (table string, ok bool) {
	pair, _ := value.([]any)
	if len(pair) == 2 {
		number, _ := pair[0].(json.Number)
		path, isText := pair[1].(string)
		if variable, found := unsetVariable(path); found {
			crypto.fault(name, "the environment variable %s is not set: set it as Orthanc's service has it", variable)
			return "", false
		}
		if isText && !filepath.IsAbs(path) { // not repeated: it may be the key
			crypto.fault(name, "names no absolute path to a key file: correct it")
			return "", false
		}
		if id, err := strconv.ParseUint(strings.TrimSpace(number.String()), 10, 32); err == nil && isText {
			return fmt.Sprintf("{ id = %d, path = %s }", id, literal(path)), true
		}
	}
	crypto.fault(name, `is not [ID, "PATH"]: the plugin then stores plaintext without a word; correct it`)
	return "", false
}
