package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
	"orthanc-bucketfs/backends/azure"
	"orthanc-bucketfs/backends/gcs"
	"orthanc-bucketfs/backends/s3"
)

// required has all the keys without a default, and stands below whatever
// top-level keys a test adds.
const required = `backend = "dir"
[dir]
path = "/srv/bucket"
[encryption]
master_key = { id = 1, path = "/etc/keys/1.key" }
`

func noEnvironment(string) (string, bool) { return "", false }

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// faultList returns the line and key of each fault in err, in order.
func faultList(t *testing.T, err error) []string {
	t.Helper()
	var list []string
	for _, err := range separate(err) {
		var fault *configError
		if !errors.As(err, &fault) {
			t.Fatalf("%v is no configError", err)
		}
		list = append(list, fmt.Sprintf("%d %s", fault.line, fault.key))
	}
	return list
}

func separate(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func TestDefaults(t *testing.T) {
	cfg, err := loadConfig(writeConfig(t, required), noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.Backend = "dir"
	want.Dir.Path = "/srv/bucket"
	want.Encryption.MasterKey = KeyFile{ID: new(int64(1)), Path: "/etc/keys/1.key"}
	cfg.origin = origin{}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v, want %+v", cfg, want)
	}
}

func TestEveryKeyIsDecoded(t *testing.T) {
	cfg, err := loadConfig(writeConfig(t, `
mountpoint = "/mnt/images"
backend = "dir"
root_path = "hospital/ct"
layout = "flat"
owner = "1000:1000"
user = "1001"
local_dir = "/var/local/orthanc"
fallback_dir = "/var/local/old"
state_dir = "/var/local/state"
sole_writer = false
read_only = true
dir.path = "/srv/bucket"
[s3]
bucket = "images"
region = "eu-central-1"
endpoint = "https://s3.example.com"
access_key = "AK"
secret_key = "hidden"
secret_key_file = "/etc/keys/s3"
path_style = true
ca_certificates = "/etc/ssl/own.pem"
storage_class = "STANDARD_IA"
tags = { department = "ct" }
server_side_encryption = "aws:kms"
kms_key_id = "arn"
connection_timeout = 1
request_timeout = 2
max_connections = 3
max_retries = 4
[azure]
connection_string = "hidden"
connection_string_file = "/etc/keys/azure"
account_url = "https://a.blob.core.windows.net"
container = "images"
create_container = true
access_tier = "Cool"
connection_timeout = 1
request_timeout = 2
max_connections = 3
max_retries = 4
[gcs]
bucket = "images"
service_account_file = "/etc/keys/gcs.json"
endpoint = "http://127.0.0.1:1"
storage_class = "NEARLINE"
connection_timeout = 1
request_timeout = 2
max_connections = 3
max_retries = 4
[encryption]
enable = true
master_key = { id = 4294967295, path = "/etc/keys/new.key" }
accept_plaintext = true
max_concurrent_input_mib = 5000
[[encryption.previous_master_keys]]
id = 0
path = "/etc/keys/old.key"
not_after = 2026-01-31T01:00:00+01:00
[log]
level = "warn"
format = "json"
[metrics]
listen = "[::1]:9108"
profiling = true
`), noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	limits := backends.Limits{ConnectionTimeout: 1, RequestTimeout: 2, MaxConnections: 3, MaxRetries: 4}
	want := Config{
		Mountpoint: "/mnt/images", Backend: "dir", RootPath: "hospital/ct", Layout: "flat", Owner: "1000:1000", User: "1001",
		LocalDir: "/var/local/orthanc", FallbackDir: "/var/local/old", StateDir: "/var/local/state", ReadOnly: true,
		Dir: DirBackend{Path: "/srv/bucket"},
		S3: s3.Config{
			Bucket: "images", Region: "eu-central-1", Endpoint: "https://s3.example.com",
			AccessKey: "AK", SecretKey: backends.NewSecret("hidden"), SecretKeyFile: "/etc/keys/s3",
			PathStyle: true, CACertificates: "/etc/ssl/own.pem", StorageClass: "STANDARD_IA",
			Tags: map[string]string{"department": "ct"}, ServerSideEncryption: "aws:kms", KMSKeyID: "arn",
			Limits: limits,
		},
		Azure: azure.Config{
			ConnectionString: backends.NewSecret("hidden"), ConnectionStringFile: "/etc/keys/azure",
			AccountURL: "https://a.blob.core.windows.net", Container: "images", CreateContainer: true, AccessTier: "Cool",
			Limits: limits,
		},
		GCS: gcs.Config{
			Bucket: "images", ServiceAccountFile: "/etc/keys/gcs.json", Endpoint: "http://127.0.0.1:1", StorageClass: "NEARLINE",
			Limits: limits,
		},
		Encryption: Encryption{
			Enable:                true,
			MasterKey:             KeyFile{ID: new(int64(1<<32 - 1)), Path: "/etc/keys/new.key"},
			PreviousMasterKeys:    []PreviousKeyFile{{KeyFile{ID: new(int64(0)), Path: "/etc/keys/old.key"}, time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)}},
			AcceptPlaintext:       true,
			MaxConcurrentInputMiB: 5000,
		},
		Log:     Log{Level: "warn", Format: "json"},
		Metrics: Metrics{Listen: "[::1]:9108", Profiling: true},
	}
	cfg.origin = origin{}
	cfg.Encryption.PreviousMasterKeys[0].NotAfter = cfg.Encryption.PreviousMasterKeys[0].NotAfter.UTC()
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v, want %+v", cfg, want)
	}
}

func TestPlaintextNeedsNoKey(t *testing.T) {
	cfg, err := loadConfig(writeConfig(t, "backend = 'dir'\ndir.path = '/srv/bucket'\nencryption.enable = false"), noEnvironment)
	if err != nil || cfg.Encryption.Enable {
		t.Errorf("enable %v, error %v", cfg.Encryption.Enable, err)
	}
}

func TestExample(t *testing.T) {
	const file = "../../config.toml.example"
	cfg, err := loadConfig(file, noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range fieldPaths("", reflect.TypeFor[Config]()) {
		if cfg.lines[path] == 0 {
			t.Errorf("%s is not in %s", path, file)
		}
	}
	cfg.origin = origin{}
	want := defaultConfig()
	want.Backend = "dir"
	want.Dir.Path = "/srv/orthanc-bucket"
	want.Encryption.MasterKey = KeyFile{ID: new(int64(1)), Path: "/etc/orthanc-bucketfs/master-1.key"}
	want.S3.Bucket, want.GCS.Bucket, want.Azure.Container = "hospital-images", "hospital-images", "hospital-images"
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("%s is not the defaults and the required keys:\ngot  %+v\nwant %+v", file, cfg, want)
	}
}

// fieldPaths returns the paths of all keys of t. The elements of an array need
// not be in an example.
func fieldPaths(path string, t reflect.Type) []string {
	if t.Kind() != reflect.Struct || isText(t) {
		return []string{path}
	}
	var paths []string
	for _, field := range reflect.VisibleFields(t) {
		if name, ok := field.Tag.Lookup("toml"); ok {
			paths = append(paths, fieldPaths(joinKey(path, name), field.Type)...)
		}
	}
	return paths
}

func TestFieldPathsFindsAll(t *testing.T) {
	paths := fieldPaths("", reflect.TypeFor[Config]())
	for _, path := range []string{"mountpoint", "dir.path", "s3.secret_key", "s3.max_retries", "s3.tags", "encryption.master_key.id", "encryption.previous_master_keys", "log.format"} {
		if !slices.Contains(paths, path) {
			t.Errorf("%s is missing in %v", path, paths)
		}
	}
}

func TestEveryFieldHasAKey(t *testing.T) {
	var check func(reflect.Type)
	check = func(typ reflect.Type) {
		for i := range typ.NumField() {
			field := typ.Field(i)
			if field.IsExported() && !field.Anonymous && field.Type.Kind() != reflect.Func && field.Tag.Get("toml") == "" {
				t.Errorf("%s.%s has no toml tag", typ, field.Name)
			}
			if field.IsExported() && field.Type.Kind() == reflect.Struct {
				check(field.Type)
			}
		}
	}
	check(reflect.TypeFor[Config]())
}

func TestUnreadableFile(t *testing.T) {
	_, err := loadConfig(filepath.Join(t.TempDir(), "none.toml"), noEnvironment)
	var fault *configError
	if !errors.As(err, &fault) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if n := strings.Count(err.Error(), "none.toml"); n != 1 {
		t.Errorf("the file is named %d times in %q", n, err)
	}
}

func TestRefusedConfigurations(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // line and key of each fault
	}{
		{"empty file", "", []string{"1 backend", "1 encryption.master_key"}},
		{"no master key", "backend = 'dir'\n[dir]\npath = '/b'\n[encryption]\nenable = true", []string{"4 encryption.master_key"}},
		{"empty master key", "backend = 'dir'\n[dir]\npath = '/b'\n[encryption]\nmaster_key = {}", []string{"5 encryption.master_key"}},
		{"no path", "backend = 'dir'\n[encryption]\nmaster_key = {id=1, path='/k'}\n[dir]", []string{"4 dir.path"}},

		{"syntax", "backend = 'dir'\nlayout = legacy\n", []string{"2 "}},
		{"key twice", "backend = 'dir'\n# again\nbackend = 'dir'\n", []string{"3 "}},
		{"table twice", "[dir]\npath='/b'\n[log]\n[dir]\n", []string{"4 "}},
		{"no UTF-8", "owner = 'a'\nbackend = '\xff'", []string{"2 "}},

		{"unknown key", required + "color = 1", []string{"6 encryption.color"}},
		{"unknown table", required + "[s4]\nbucket = 'x'", []string{"6 s4"}},
		{"unknown key of a cloud", required + "[s3]\nbuckets = 'x'", []string{"7 s3.buckets"}},
		{"no port", required + "[metrics]\nlisten = '127.0.0.1'", []string{"7 metrics.listen"}},
		{"port 0", required + "[metrics]\nlisten = '127.0.0.1:0'", []string{"7 metrics.listen"}},
		{"profiles to the network", required + "[metrics]\nlisten = ':9108'\nprofiling = true", []string{"8 metrics.profiling"}},
		{"profiles to a name", required + "[metrics]\nlisten = 'localhost:9108'\nprofiling = true", []string{"8 metrics.profiling"}},
		{"profiles nowhere", required + "[metrics]\nprofiling = true", []string{"7 metrics.profiling"}},

		{"number for secret", required + "[s3]\nsecret_key = 1", []string{"7 s3.secret_key"}},
		{"table for secret", required + "[s3]\nsecret_key = {value='x'}", []string{"7 s3.secret_key"}},
		{"string for int", required + "[s3]\nmax_retries = '3'", []string{"7 s3.max_retries"}},
		{"number in tags", required + "[s3]\ntags = { a = 'b',\n c = 1 }", []string{"8 s3.tags.c"}},
		{"tags no table", required + "[s3]\ntags = 'a=b'", []string{"7 s3.tags"}},
		{"unknown key in inline table", "encryption.master_key = {\n id = 1,\n path = '/k', ID = 2 }", []string{"3 encryption.master_key.ID"}},
		{"unknown key in an array", "[encryption]\nprevious_master_keys = [\n{id=1,path='/k'},\n{id=2,file='/l'}]", []string{"4 encryption.previous_master_keys[1].file"}},
		{"unknown key in an array of tables", "[[encryption.previous_master_keys]]\nid = 1\n[[encryption.previous_master_keys]]\nid = 2\nfile = '/l'",
			[]string{"5 encryption.previous_master_keys[1].file"}},
		{"other case of letters", "Backend = 'dir'\nbackend = 'dir'", []string{"1 Backend"}},
		{"all unknown keys", "a = 1\nb = 1\n[dir]\nc = 1", []string{"1 a", "2 b", "4 dir.c"}},

		{"number for string", "mountpoint = 1", []string{"1 mountpoint"}},
		{"string for boolean", "owner = 'a'\nread_only = 'yes'", []string{"2 read_only"}},
		{"string for number", "[encryption]\nmax_concurrent_input_mib = '1024'", []string{"2 encryption.max_concurrent_input_mib"}},
		{"fraction for number", "[encryption]\nmax_concurrent_input_mib = 1024.0", []string{"2 encryption.max_concurrent_input_mib"}},
		{"string for id", "[encryption]\nmaster_key = { id = '1', path = '/k' }", []string{"2 encryption.master_key.id"}},
		{"string for table", "dir = '/b'", []string{"1 dir"}},
		{"table for string", "[backend]\nname = 'dir'", []string{"1 backend"}},
		{"array for table", "[encryption]\nmaster_key = [ { id = 1, path = '/k' } ]", []string{"2 encryption.master_key"}},
		{"array of tables for table", "[[dir]]\npath = '/b'", []string{"1 dir"}},
		{"table for array", "[encryption]\nprevious_master_keys = { id = 1, path = '/k' }", []string{"2 encryption.previous_master_keys"}},
		{"strings for tables", "[encryption]\nprevious_master_keys = [\n'/k',\n'/l' ]", []string{"3 encryption.previous_master_keys[0]", "4 encryption.previous_master_keys[1]"}},
		{"accept_plaintext without encryption", "backend = 'dir'\n[dir]\npath='/b'\n[encryption]\nenable = false\naccept_plaintext = true", []string{"6 encryption.accept_plaintext"}},
		{"sole_writer with fallback_dir", "sole_writer = true\nfallback_dir = '/old'\n" + required, []string{"1 sole_writer"}},
		{"string for sole_writer", "sole_writer = 'yes'", []string{"1 sole_writer"}},
		{"relative fallback_dir", "fallback_dir = 'old'\n" + required, []string{"1 fallback_dir"}},
		{"end of the current key", strings.Replace(required, " }", ", not_after = 2026-01-31T00:00:00Z }", 1), []string{"5 encryption.master_key.not_after"}},
		{"end as a string", required + "previous_master_keys = [\n{id=2,path='/k',not_after='2026-01-31T00:00:00Z'}]", []string{"7 encryption.previous_master_keys[0].not_after"}},
		{"end without an offset", required + "previous_master_keys = [\n{id=2,path='/k',not_after=2026-01-31T00:00:00}]", []string{"7 encryption.previous_master_keys[0].not_after"}},
		{"end without a time", required + "previous_master_keys = [\n{id=2,path='/k',not_after=2026-01-31}]", []string{"7 encryption.previous_master_keys[0].not_after"}},
		{"date", "owner = 2026-01-01", []string{"1 owner"}},
		{"types and keys at once", "x = 1\nowner = 1", []string{"1 x", "2 owner"}},
		{"number beyond 64 bits", "[encryption]\nmax_concurrent_input_mib = 9223372036854775808", []string{"2 "}},

		{"azure without a container", "backend = 'azure'\nencryption.enable = false\n[azure]", []string{"3 azure.container"}},
		{"gcs without a bucket", "backend = 'gcs'\nencryption.enable = false\n[gcs]", []string{"3 gcs.bucket"}},
		{"relative paths of clouds", required + "[azure]\nconnection_string_file = 'x'\n[gcs]\nservice_account_file = 'y'",
			[]string{"7 azure.connection_string_file", "9 gcs.service_account_file"}},
		{"s3 without a bucket", "backend = 's3'\nencryption.enable = false\n[s3]", []string{"3 s3.bucket"}},
		{"relative path of s3", required + "[s3]\nsecret_key_file = 'x'\nca_certificates = 'y'", []string{"7 s3.secret_key_file", "8 s3.ca_certificates"}},
		{"other backend", strings.Replace(required, "dir", "ftp", 1), []string{"1 backend"}},
		{"other layout", "layout = ''\n" + required, []string{"1 layout"}},
		{"root_path", "root_path = '/a'\n" + required, []string{"1 root_path"}},
		{"root_path with dots", "root_path = 'a/../b'\n" + required, []string{"1 root_path"}},
		{"root_path is a dot", "root_path = '.'\n" + required, []string{"1 root_path"}},
		{"owner", "owner = ':orthanc'\n" + required, []string{"1 owner"}},
		{"owner and two groups", "owner = 'a:b:c'\n" + required, []string{"1 owner"}},
		{"owner with a space", "owner = 'a: b'\n" + required, []string{"1 owner"}},
		{"level", required + "[log]\nlevel = 'INFO'", []string{"7 log.level"}},
		{"format", required + "[log]\nformat = ''", []string{"7 log.format"}},
		{"no budget", required + "max_concurrent_input_mib = 0", []string{"6 encryption.max_concurrent_input_mib"}},
		{"budget too large", required + "max_concurrent_input_mib = 1048577", []string{"6 encryption.max_concurrent_input_mib"}},

		{"relative path", "mountpoint = 'db'\n" + required, []string{"1 mountpoint"}},
		{"no mountpoint", "mountpoint = ''\n" + required, []string{"1 mountpoint"}},
		{"path not clean", "mountpoint = '/var/lib/orthanc/../db'\n" + required, []string{"1 mountpoint"}},
		{"path with final slash", "local_dir = '/var/local/'\n" + required, []string{"1 local_dir"}},
		{"path with NUL", `mountpoint = "/a\u0000b"` + "\n" + required, []string{"1 mountpoint"}},
		{"path is root", "mountpoint = '/'\n" + required, []string{"1 mountpoint"}},
		{"relative key path", strings.Replace(required, "/etc", "etc", 1), []string{"5 encryption.master_key.path"}},

		{"id missing", strings.Replace(required, "id = 1, ", "", 1), []string{"5 encryption.master_key.id"}},
		{"path missing", strings.Replace(required, `, path = "/etc/keys/1.key"`, "", 1), []string{"5 encryption.master_key.path"}},
		{"id negative", strings.Replace(required, "id = 1", "id = -1", 1), []string{"5 encryption.master_key.id"}},
		{"id too large", strings.Replace(required, "id = 1", "id = 4294967296", 1), []string{"5 encryption.master_key.id"}},
		{"id twice", required + "previous_master_keys = [\n{id=2,path='/k'},\n{id=1,path='/l'},\n{id=2,path='/m'}]",
			[]string{"8 encryption.previous_master_keys[1].id", "9 encryption.previous_master_keys[2].id"}},
		{"empty previous key", required + "previous_master_keys = [\n{}]",
			[]string{"7 encryption.previous_master_keys[0].id", "7 encryption.previous_master_keys[0].path"}},
		{"keys while disabled", required + "enable = false\nprevious_master_keys = [{id=2,path='/k'}]",
			[]string{"5 encryption.master_key", "7 encryption.previous_master_keys[0]"}},

		{"everything at once", "mountpoint = 'a'\nlayout = 'x'\nroot_path = '/'\n[log]\nlevel = 'x'\n[dir]\npath = 'b'",
			[]string{"1 backend", "1 encryption.master_key", "1 mountpoint", "2 layout", "3 root_path", "5 log.level"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := loadConfig(writeConfig(t, test.text), noEnvironment)
			if got := faultList(t, err); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q: %v", got, test.want, err)
			}
			for _, err := range separate(err) {
				if fault := err.(*configError); fault.line < 1 || fault.remedy == "" {
					t.Errorf("no line or no remedy: %v", err)
				}
			}
		})
	}
}

func TestInvalidRootPathIsAnInvalidKey(t *testing.T) {
	_, err := loadConfig(writeConfig(t, "root_path = 'a/'\n"+required), noEnvironment)
	if !errors.Is(err, backends.ErrInvalidKey) {
		t.Errorf("got %v", err)
	}
}

func TestFaultsOfOneLineKeepTheirOrder(t *testing.T) {
	text := "z = 1\n[dir]\n[log]\nx = { a = 1, b = 1 }\ny = 1\n"
	want := []string{"1 z", "4 log.x", "5 log.y"}
	for range 20 { // the decoder's maps have no order
		_, err := decodeConfig("config.toml", text)
		if got := faultList(t, err); !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	text = "encryption.master_key = { a = 1, b = 1, c = 1, d = 1 }"
	for range 20 {
		_, err := decodeConfig("config.toml", text)
		if got := faultList(t, err); !slices.IsSorted(got) || len(got) != 4 {
			t.Fatalf("got %q", got)
		}
	}
}

func TestConfigErrorReadsWell(t *testing.T) {
	err := origin{file: "/etc/c.toml", lines: map[string]int{"a[0]": 3}}.fault("a[0].b.c", errors.New("is wrong"), "mend it")
	if got, want := err.Error(), "/etc/c.toml:3: a[0].b.c: is wrong: mend it"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
