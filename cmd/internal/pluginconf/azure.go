package pluginconf

import "strings"

func (c *conversion) azure() {
	c.table("azure")
	if !c.plugin.has("ConnectionString") {
		c.plugin.required("ConnectionString")
	}
	c.secretFile("connection_string_file", "azure-connection-string", "ConnectionString")
	c.container()
	switch tier := c.plugin.text("AccessTier"); tier {
	case "":
	case "Archive":
		c.leftOut("AccessTier", "what is in Archive cannot be read at once.")
	default:
		c.set("access_tier", tier)
	}
}

// blobStorage translates the section of the plugin before release 1.0. It has
// no options for names: they are flat.
func (c *conversion) blobStorage() {
	c.table("azure")
	c.plugin.required("AccountName")
	if !c.plugin.has("AccountKey") {
		c.plugin.required("AccountKey")
	}
	c.secretFile("connection_string_file", "azure-connection-string",
		"text DefaultEndpointsProtocol=https;AccountName=NAME;AccountKey=KEY;EndpointSuffix=core.windows.net, with the AccountName and AccountKey")
	c.container()
}

func (c *conversion) container() {
	c.set("container", strings.TrimSpace(c.plugin.required("ContainerName")))
	c.set("create_container", c.plugin.flag("CreateContainerIfNotExists", true))
}
