package pluginconf

import "path/filepath"

func (c *conversion) gcs() {
	c.table("gcs")
	c.set("bucket", c.plugin.required("BucketName"))
	file := c.plugin.required("ServiceAccountFile")
	if file != "" && !filepath.IsAbs(file) { // not repeated: it may be the account
		c.plugin.fault("ServiceAccountFile", "is no absolute path: correct it")
		return
	}
	c.set("service_account_file", file)
}
