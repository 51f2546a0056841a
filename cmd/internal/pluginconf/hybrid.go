package pluginconf

// hybrid translates how the plugin works together with a plain directory.
func (c *conversion) hybrid() {
	mode := c.plugin.text("HybridMode")
	if c.plugin.flag("MigrationFromFileSystemEnabled", false) && (mode == "" || mode == "Disabled") {
		mode = "WriteToObjectStorage"
	}
	switch mode {
	case "", "Disabled":
		return
	case "WriteToObjectStorage":
		c.comment("HybridMode \"WriteToObjectStorage\": what is not in the bucket is read from the old directory.")
	case "WriteToFileSystem":
		c.comment("HybridMode \"WriteToFileSystem\" has no equivalent: every new file goes to the bucket. What is not in the bucket is " +
			"read from the old directory.")
	default:
		c.plugin.fault("HybridMode", `is neither "Disabled" nor "WriteToObjectStorage" nor "WriteToFileSystem": correct it`)
		return
	}
	c.comment("Before the first mount, move what is in the StorageDirectory there, or name another place.")
	c.set("fallback_dir", c.storageDirectory()+".before-bucket")
}
