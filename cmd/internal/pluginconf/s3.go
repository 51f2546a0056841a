package pluginconf

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

func (c *conversion) s3() {
	c.table("s3")
	c.set("bucket", c.plugin.required("BucketName"))
	c.set("region", c.plugin.required("Region"))
	c.s3Endpoint()
	c.s3Credentials()
	if !c.plugin.flag("VirtualAddressing", true) {
		c.set("path_style", true)
	}
	c.s3Authorities()
	c.s3Objects()
	c.s3Connections()
	for _, option := range []string{"UseTransferManager", "TransferPoolSize", "TransferBufferSize"} {
		if c.plugin.has(option) {
			c.leftOut(option, "large objects are always read and written in parallel parts.")
		}
	}
	if c.plugin.has("EnableAwsSdkLogs") {
		c.leftOut("EnableAwsSdkLogs", "what the SDK says is in the error that is logged.")
	}
}

// s3Endpoint writes the URL of an endpoint that may lack its scheme, which is
// https then.
func (c *conversion) s3Endpoint() {
	endpoint := c.plugin.text("Endpoint")
	if endpoint != "" && !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	if strings.ContainsAny(endpoint, "@?#") { // not repeated: it may hold a password
		c.plugin.fault("Endpoint", "holds more than an address: move the credentials to AccessKey and SecretKey")
		return
	}
	c.keep("endpoint", strings.TrimRight(endpoint, "/"))
}

func (c *conversion) s3Credentials() {
	if !c.plugin.has("AccessKey") || !c.plugin.has("SecretKey") {
		c.comment("Without AccessKey and SecretKey: credentials come from where the AWS SDK looks for them.")
		return
	}
	c.set("access_key", c.plugin.text("AccessKey"))
	c.secretFile("secret_key_file", "s3-secret-key", "SecretKey")
}

// secretFile names a file for a secret, and says how to fill it.
func (c *conversion) secretFile(key, name, content string) {
	path := "/etc/orthanc-bucketfs/" + name
	c.comment("Put the %s of %s into this file, and nothing else. Run what follows, paste it, press Enter and Ctrl-D:",
		content, c.plugin.path)
	c.text.WriteString("#   sudo install -m 0600 /dev/stdin " + path + "\n")
	c.set(key, path)
}

func (c *conversion) s3Authorities() {
	switch file := c.root.text("HttpsCACertificates"); {
	case file == "":
	case filepath.IsAbs(file):
		c.comment("Orthanc's HttpsCACertificates.")
		c.set("ca_certificates", filepath.Clean(file))
	default:
		c.leftOut("HttpsCACertificates", "it is a relative path; if the system's authorities will not do, set ca_certificates to an absolute one.")
	}
}

func (c *conversion) s3Objects() {
	switch class := c.plugin.text("StorageClass"); class {
	case "":
	case "GLACIER", "DEEP_ARCHIVE":
		c.leftOut("StorageClass", class+" is an archive: what is in it cannot be read at once.")
	default:
		c.set("storage_class", class)
	}
	if tags := c.plugin.sub("Tags"); tags != nil && len(tags.values) > 0 {
		var pairs []string
		for _, tag := range slices.Sorted(maps.Keys(tags.values)) {
			pairs = append(pairs, toml.Key{tag}.String()+" = "+literal(tags.text(tag)))
		}
		c.text.WriteString("tags = { " + strings.Join(pairs, ", ") + " }\n")
	}
}

func (c *conversion) s3Connections() {
	for _, option := range []string{"ConnectTimeout", "ConnectionTimeout"} {
		if n, ok := c.plugin.number(option); ok && n > 0 {
			c.set("connection_timeout", n)
			break
		}
	}
	c.plugin.has("ConnectionTimeout") // one name of two
	if c.plugin.has("RequestTimeout") {
		c.leftOut("RequestTimeout", "it limits a whole transfer, while request_timeout limits the time without a byte, and has a default that suits any size.")
	}
	if n, ok := c.plugin.number("MaxConnections"); ok && n > 0 {
		c.set("max_connections", n)
	}
	if n, ok := c.plugin.number("MaxRetries"); ok {
		c.set("max_retries", n)
	}
}
