package pluginconf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// conversion is one run of Convert.
type conversion struct {
	page
	root    *section // of Orthanc's options
	plugin  *section // of the plugin's
	dir     string   // what relative paths are relative to
	faults  []error
	flat    bool // the plugin always wrote flat names
	backend string
}

// Convert returns the TOML that makes this program serve the bucket of the
// plugin that doc configures.
func Convert(doc Document) (string, error) {
	c := &conversion{dir: doc.dir}
	c.root = doc.root(&c.faults)
	writeBackend, err := c.choose()
	if err != nil {
		return "", err
	}
	c.comment("Made by 'orthanc-bucketfs convert-config' from the section %s of %s. Read it through, then let "+
		"'orthanc-bucketfs check' verify it. In Orthanc, remove the plugin from \"Plugins\".", c.plugin.path, doc.name)
	c.text.WriteString("\n")
	c.tree()
	writeBackend()
	c.encryption()
	c.unknown()
	if err := errors.Join(c.faults...); err != nil {
		return "", err
	}
	return c.text.String(), nil
}

// choose finds the one section of a plugin, and returns what writes its
// settings.
func (c *conversion) choose() (write func(), err error) {
	candidates := []struct {
		section, backend string
		flat             bool
		write            func()
	}{
		{"AwsS3Storage", "s3", false, c.s3},
		{"AzureBlobStorage", "azure", false, c.azure},
		{"BlobStorage", "azure", true, c.blobStorage},
		{"GoogleCloudStorage", "gcs", false, c.gcs},
	}
	for _, candidate := range candidates {
		plugin := c.root.sub(candidate.section)
		switch {
		case plugin == nil:
		case c.plugin == nil:
			c.plugin, c.backend, c.flat, write = plugin, candidate.backend, candidate.flat, candidate.write
		case candidate.section == "BlobStorage" && c.backend == "azure": // the plugin then ignores it, too
		default:
			return nil, fmt.Errorf("both %s and %s are configured: remove the section that is not in use", c.plugin.path, plugin.path)
		}
	}
	if c.plugin == nil {
		return nil, errors.Join(append(c.faults, errors.New("no section of an object-storage plugin was found: "+
			"AwsS3Storage, AzureBlobStorage, BlobStorage or GoogleCloudStorage"))...)
	}
	return write, nil
}

// tree writes the keys above all tables.
func (c *conversion) tree() {
	c.mountpoint()
	c.set("backend", c.backend)
	c.rootPath()
	c.layout()
	c.hybrid()
}

// storageDirectory returns the absolute path of Orthanc's StorageDirectory.
func (c *conversion) storageDirectory() string {
	directory := c.root.text("StorageDirectory")
	if directory == "" {
		directory = "OrthancStorage" // Orthanc's default
	}
	if !filepath.IsAbs(directory) {
		directory = filepath.Join(c.dir, directory)
	}
	return filepath.Clean(directory)
}

func (c *conversion) mountpoint() {
	index := c.root.text("IndexDirectory")
	c.comment("Orthanc's StorageDirectory. Nothing may be in it when the bucket is mounted on it.")
	if index == "" || index == c.root.text("StorageDirectory") {
		c.comment("Unless its index is in a database server, Orthanc has it there: move it, and name its new place in Orthanc's " +
			"IndexDirectory, or set local_dir here.")
	}
	c.set("mountpoint", c.storageDirectory())
	if !c.root.flag("SyncStorageArea", true) {
		c.comment("In Orthanc, set SyncStorageArea to true again: it then hears of a failed store in time.")
	}
}

func (c *conversion) rootPath() {
	path := strings.TrimRight(c.plugin.text("RootPath"), "/")
	if path != "" && (path == "." || !fs.ValidPath(path)) {
		c.plugin.fault("RootPath", "cannot be written as root_path, which has names with single slashes between them: "+
			"copy the objects to such a prefix")
		return
	}
	c.keep("root_path", path)
}

func (c *conversion) layout() {
	structure := c.plugin.text("StorageStructure")
	if c.plugin.has("EnableLegacyUnknownFiles") {
		c.leftOut("EnableLegacyUnknownFiles", "files *.unk are found without it.")
	}
	switch {
	case c.flat, structure == "", structure == "flat":
		c.comment("New files are stored as \"legacy\", AA/BB/UUID; those of the plugin are read and deleted where they are.")
		c.set("layout", "flat")
	case structure == "legacy":
		c.set("layout", "legacy")
	default:
		c.plugin.fault("StorageStructure", `is neither "flat" nor "legacy": correct it`)
	}
}

// unknown reports the options of the plugin's section that no release has. It
// does not repeat what they are set to.
func (c *conversion) unknown() {
	for _, option := range c.plugin.unasked() {
		c.leftOut(c.plugin.shown(option), "the plugin has no option of that name.")
	}
}
