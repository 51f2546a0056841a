// Package pluginconf turns the configuration of Orthanc's official
// object-storage plugin (up to release 2.5.4) into that of this program.
//
// [Read] reads an Orthanc configuration as Orthanc does: JSON with comments, a
// file or a directory of files, with environment variables replaced. [Convert]
// writes the TOML. What it cannot translate becomes a comment that says why; what
// would point at another bucket than the plugin's, or at none, is an error.
//
// No secret is ever in the result, wherever the plugin has it from: it names a
// file to put the secret in. Values of options that are not known are not
// repeated either.
package pluginconf
