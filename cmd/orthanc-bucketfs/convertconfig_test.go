package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the expected results in testdata anew")

// pluginEnvironment is what the configurations in testdata/plugin refer to.
func pluginEnvironment(name string) (string, bool) {
	value, ok := map[string]string{
		"BUCKET":    "hospital-images",
		"S3_SECRET": "hush-hush",
		"KEY_DIR":   "/etc/orthanc/keys",
	}[name]
	return value, ok
}

func convert(file string, lookupEnv func(string) (string, bool)) (string, error) {
	var stdout bytes.Buffer
	c := &call{command: convertConfigCommand(), args: []string{file}, stdout: &stdout, lookupEnv: lookupEnv}
	err := c.run(nil, c)
	return stdout.String(), err
}

// Every configuration of the plugin gives the TOML beside it, and our own
// loader takes it.
func TestConvertConfig(t *testing.T) {
	files, err := filepath.Glob("testdata/plugin/*.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			got, err := convert(file, pluginEnvironment)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(got, "hush") {
				t.Errorf("a secret was printed:\n%s", got)
			}
			checkGolden(t, strings.TrimSuffix(file, ".json")+".toml", got)
			if _, err := loadConfig(writeConfig(t, got), noEnvironment); err != nil {
				t.Errorf("the result is refused: %v\n%s", err, got)
			}
		})
	}
}

func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant %s:\n%s", got, file, want)
	}
}

func TestConvertConfigRefuses(t *testing.T) {
	const s3 = `"BucketName":"b","Region":"r"`
	tests := []struct{ name, json, want string }{
		{"no JSON", "{\n/* a\n b */\n\"A\": 1,\n oops }", ":5: not valid JSON"},
		{"no object", "[]", "not valid JSON"},
		{"no section", `{"Name":"x"}`, "no section"},
		{"section is no object", `{"AwsS3Storage":1}`, "AwsS3Storage: is no JSON object"},
		{"two sections", `{"AwsS3Storage":{},"GoogleCloudStorage":{}}`, "both AwsS3Storage and GoogleCloudStorage"},
		{"no bucket", `{"AwsS3Storage":{"Region":"r"}}`, "AwsS3Storage.BucketName: is not set"},
		{"no region", `{"AwsS3Storage":{"BucketName":"b"}}`, "AwsS3Storage.Region: is not set"},
		{"unset variable", `{"AwsS3Storage":{"BucketName":"x-${NONE}","Region":"r"}}`, "BucketName: the environment variable NONE is not set"},
		{"unset variable between", `{"AwsS3Storage":{"BucketName":${NONE},"Region":"r"}}`, "BucketName: is not set"},
		{"number for text", `{"AwsS3Storage":{"BucketName":7,"Region":"r"}}`, "AwsS3Storage.BucketName: is no string"},
		{"text for number", `{"AwsS3Storage":{` + s3 + `,"MaxRetries":"7"}}`, "AwsS3Storage.MaxRetries: is no whole number"},
		{"text for boolean", `{"AwsS3Storage":{` + s3 + `,"VirtualAddressing":"no"}}`, "VirtualAddressing: is neither"},
		{"password in endpoint", `{"AwsS3Storage":{` + s3 + `,"Endpoint":"a:hush@b"}}`, "AwsS3Storage.Endpoint: holds more"},
		{"structure", `{"AwsS3Storage":{` + s3 + `,"StorageStructure":"round"}}`, `StorageStructure: is neither "flat" nor "legacy"`},
		{"hybrid mode", `{"AwsS3Storage":{` + s3 + `,"HybridMode":"Both"}}`, `AwsS3Storage.HybridMode: is neither`},
		{"root path", `{"AwsS3Storage":{` + s3 + `,"RootPath":"a//b"}}`, `AwsS3Storage.RootPath: cannot be written`},
		{"absolute root path", `{"AwsS3Storage":{` + s3 + `,"RootPath":"/a"}}`, `AwsS3Storage.RootPath: cannot be written`},
		{"no master key", `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"Enable":true}}}`, "StorageEncryption.MasterKey: is missing"},
		{"master key alone", `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":"/k"}}}`, "StorageEncryption.MasterKey: is not [ID"},
		{"master key without number", `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":["1","/k"]}}}`, "MasterKey: is not [ID"},
		{"master key of three", `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":[1,"/k",2]}}}`, "MasterKey: is not [ID"},
		{"id too large", `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":[4294967296,"/k"]}}}`, "MasterKey: is not [ID"},
		{"unset key path", `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":[1,"${NONE}"]}}}`, "MasterKey: the environment variable NONE"},
		{"previous key", `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":[1,"/k"],"PreviousMasterKeys":[[2,"/l"],[3]]}}}`,
			"PreviousMasterKeys[1]: is not [ID"},
		{"previous keys", `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":[1,"/k"],"PreviousMasterKeys":{}}}}`,
			"PreviousMasterKeys: is no array"},
		{"no connection string", `{"AzureBlobStorage":{"ContainerName":"c"}}`, "AzureBlobStorage.ConnectionString: is not set"},
		{"no account key", `{"BlobStorage":{"ContainerName":"c","AccountName":"a"}}`, "BlobStorage.AccountKey: is not set"},
		{"no service account", `{"GoogleCloudStorage":{"BucketName":"b"}}`, "GoogleCloudStorage.ServiceAccountFile: is not set"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "orthanc.json")
			if err := os.WriteFile(file, []byte(test.json), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := convert(file, noEnvironment)
			if err == nil || got != "" || !strings.Contains(err.Error(), test.want) || exitCode(err) != exitUsage {
				t.Errorf("printed %q, error %v, want one with %q", got, err, test.want)
			}
		})
	}
}

// A relative StorageDirectory is relative to the configuration, which may be a
// directory of files.
func TestConvertConfigOfDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.json": `{"AwsS3Storage":{"BucketName":"b","Region":"r","StorageStructure":"legacy"}}`,
		"b.json": `{"StorageDirectory":"db",}`,
		"c.txt":  "{",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := convert(dir, noEnvironment)
	if err != nil || !strings.Contains(got, "\nmountpoint = \""+dir+"/db\"\n") {
		t.Errorf("got %v:\n%s", err, got)
	}
	if err := os.WriteFile(filepath.Join(dir, "z.json"), []byte(`{"StorageDirectory":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := convert(dir, noEnvironment); err == nil || !strings.Contains(err.Error(), "b.json, too") {
		t.Errorf("an option in two files: %v", err)
	}
	if _, err := convert(t.TempDir(), noEnvironment); err == nil || !strings.Contains(err.Error(), "no file *.json") {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := convert(filepath.Join(dir, "none"), noEnvironment); err == nil || exitCode(err) != exitUsage {
		t.Errorf("nothing there: %v", err)
	}
}
