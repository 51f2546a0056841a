package main

import (
	"context"

	"orthanc-bucketfs/cmd/internal/pluginconf"
)

func convertConfigCommand() command {
	return command{
		name:     "convert-config",
		operands: []string{"ORTHANC.json"},
		summary:  "print a configuration made from that of Orthanc's object-storage plugin",
		details: `ORTHANC.json is Orthanc's configuration, a file or a directory of files, with
comments and environment variables as Orthanc takes them. What has no equivalent
becomes a comment that says why. Secrets are not printed: the result names files
to put them in.`,
		run: convertConfig,
	}
}

func convertConfig(_ context.Context, c *call) error {
	operands, err := c.parse(c.flagSet())
	if err != nil {
		return err
	}
	doc, err := pluginconf.Read(operands[0], c.lookupEnv)
	if err != nil {
		return usagef("convert-config: %w", err)
	}
	text, err := pluginconf.Convert(doc)
	if err != nil {
		return usagef("%w", err)
	}
	return writeOutput(c.stdout, []byte(text))
}
