package pluginconf

// hybrid translates how the plugin works together with a plain directory.
func (c *conversion) hybrid() {
	mode := c.plugin.text("HybridMode")
	if c.plugin.flag("MigrationFromFileSystemEnabled", false) && (mode == "" || mode == "Disabled") {
		mode = "WriteToObjectStorage"
	}
	switch mode {
	case "WriteToFileSystem":
		c.leftOut("HybridMode \"WriteToFileSystem\"", "every new file goes to the bucket. While files are left in the old StorageDirectory, "+
			"they must be moved to the bucket before it is mounted there.")
	case "WriteToObjectStorage":
		c.leftOut("HybridMode \"WriteToObjectStorage\"", "files that are left in the old StorageDirectory must be moved to the bucket before "+
			"it is mounted there.")
	}
}
