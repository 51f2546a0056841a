package pluginconf

func (c *conversion) gcs() {
	c.table("gcs")
	c.set("bucket", c.plugin.required("BucketName"))
	c.set("service_account_file", c.plugin.required("ServiceAccountFile"))
}
