package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"orthanc-bucketfs/backends"
)

// mark is a secret as Amazon makes them. No message may have a piece of it.
const mark = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzQh5sT0vKw"

// leaked returns a piece of mark that is in output, in whatever case of letters.
func leaked(output string) string {
	const piece = 7
	output = strings.ToLower(output)
	for i := range len(mark) - piece + 1 {
		if p := mark[i : i+piece]; strings.Contains(output, strings.ToLower(p)) {
			return p
		}
	}
	return ""
}

func TestLeakedFindsAPiece(t *testing.T) {
	for _, output := range []string{mark, strings.ToUpper(mark), "x" + mark[3:11] + "x", mark[len(mark)-7:]} {
		if leaked(output) == "" {
			t.Errorf("nothing is found in %q", output)
		}
	}
	if found := leaked("config.toml:3: s3.secret_key: is no string; wJalrX"); found != "" {
		t.Errorf("found %q", found)
	}
}

// told returns all that a command says.
func told(t *testing.T, stdin string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*hang)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr)
	return stdout.String() + stderr.String(), code
}

// wantNoLeak runs a command that must fail without telling the secret.
func wantNoLeak(t *testing.T, what string, args ...string) {
	t.Helper()
	output, code := told(t, "", args...)
	if p := leaked(output); p != "" {
		t.Errorf("%s: %s tells %q:\n%s", what, args[0], p, output)
	}
	if code == exitDone {
		t.Errorf("%s: %s %q succeeded", what, args[0], args[1:])
	}
}

// commandsWithConfig are all uses of a command that read a configuration.
func commandsWithConfig(t *testing.T, config string) [][]string {
	t.Helper()
	with := [][]string{
		{"mount"}, {"check"}, {"check", "--json"}, {"seal"}, {"unseal"}, {"verify"}, {"rekey"}, {"rekey", "--dry-run"},
		{"bench"}, {"bench", "--mount", t.TempDir()},
	}
	for i := range with {
		with[i] = append(with[i], "--config", config)
	}
	for _, name := range []string{"import", "export"} {
		with = append(with, []string{name, "--config", config, t.TempDir()})
	}
	return with
}

func TestEveryCommandWithAConfigurationIsFed(t *testing.T) {
	var fed []string
	for _, args := range commandsWithConfig(t, "c") {
		fed = append(fed, args[0])
	}
	for _, c := range commands() {
		without := slices.Contains([]string{"keygen", "convert-config", "helper", "version", "help"}, c.name)
		if without == slices.Contains(fed, c.name) {
			t.Errorf("%s: read the configuration: %v", c.name, !without)
		}
	}
}

// mistakes are configurations in which something is wrong around a secret. They
// stand in place of the line of key.
func mistakes(key string) map[string]string {
	quoted := `"` + mark + `"`
	return map[string]string{
		"no quotes":            key + " = " + mark,
		"no opening quote":     key + " = " + mark + `"`,
		"no closing quote":     key + ` = "` + mark,
		"other closing quote":  key + ` = '` + mark + `"`,
		"open text block":      key + ` = """` + mark,
		"open literal block":   key + ` = '''` + mark,
		"no equals sign":       key + " " + mark,
		"colon":                key + ": " + quoted,
		"two values":           key + ` = "x" ` + mark,
		"two quoted values":    key + ` = "x" ` + quoted,
		"escape":               key + ` = "\` + mark + `"`,
		"hexadecimal escape":   key + ` = "\u` + mark + `"`,
		"escape before":        key + ` = "` + mark + `\q"`,
		"control character":    key + " = \"" + mark + "\x01\"",
		"no UTF-8":             key + " = \"" + mark + "\xff\"",
		"no UTF-8, no quotes":  key + " = " + mark + "\xff",
		"digit first":          key + " = 1" + mark,
		"hexadecimal number":   key + " = 0x" + mark,
		"binary number":        key + " = 0b" + mark,
		"sign":                 key + " = +" + mark,
		"signed hexadecimal":   key + " = -0x" + mark,
		"fraction":             key + " = 1." + mark,
		"exponent":             key + " = 1e" + mark,
		"underscore":           key + " = 1__2" + mark,
		"date":                 key + " = 1979-05-27T" + mark,
		"time":                 key + " = 07:32:00" + mark,
		"truth":                key + " = true" + mark,
		"infinity":             key + " = inf" + mark,
		"array":                key + " = [" + quoted + "]",
		"array without quotes": key + " = [" + mark + "]",
		"open array":           key + " = [" + quoted,
		"table":                key + " = {value = " + quoted + "}",
		"table with its name":  key + " = {" + quoted + " = 1}",
		"open table":           key + " = {" + quoted,
		"twice":                key + " = 'x'\n" + key + " = " + quoted,
		"twice, as a name":     quoted + " = 1\n" + quoted + " = 2",
		"name":                 quoted + " = 1",
		"bare name":            strings.NewReplacer("/", "", "+", "").Replace(mark) + " = 1",
		"lower-case name":      strings.ToLower(strings.NewReplacer("/", "", "+", "").Replace(mark)) + " = 1",
		"bare name with slash": mark + " = 1",
		"dotted name":          key + "." + quoted + " = 1",
		"name of a table":      "[" + quoted + "]",
		"table without end":    "[" + mark,
		"array of tables":      "[[" + quoted + "]]",
		"number":               key + " = 123456789012345678901234567890",
		"line of its own":      mark,
		"line in quotes":       quoted,
		"continued":            key + " =\n" + mark,
		"comment without sign": key + " = 'x' // " + mark,
	}
}

// sites are configurations of every kind of bucket, which nobody can
// reach, for a mount point that is missing. The
// line with a key of its own is the one to make a mistake in.
func sites(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bucket"), 0o700); err != nil {
		t.Fatal(err)
	}
	top := fmt.Sprintf("mountpoint = %q\nowner = ''\nstate_dir = ''\n", filepath.Join(dir, "nothing"))
	const quick = "connection_timeout = 1\nrequest_timeout = 1\nmax_retries = 0\n"
	end := fmt.Sprintf("[encryption]\nmaster_key = { id = 1, path = %q }\n", writeKeyFile(t, 'a', 0o600))
	return map[string]string{
		"dir.path": top + fmt.Sprintf("backend = 'dir'\n%s[dir]\npath = %q\n", end, filepath.Join(dir, "bucket")),
		"s3.secret_key": top + "backend = 's3'\n" + end +
			"[s3]\nbucket = 'images'\nregion = 'us-east-1'\nendpoint = 'http://127.0.0.1:1'\npath_style = true\naccess_key = 'AK'\n" + quick + "secret_key = '" + mark + "'\n",
		"azure.connection_string": top + "backend = 'azure'\n" + end +
			"[azure]\ncontainer = 'images'\n" + quick + "connection_string = '" + connection + "'\n",
		"gcs.service_account_file": top + "backend = 'gcs'\n" + end +
			"[gcs]\nbucket = 'images'\nendpoint = 'https://127.0.0.1:1'\n" + quick + "service_account_file = '/nonexistent/account'\n",
	}
}

const connection = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=" + mark + "==;BlobEndpoint=http://127.0.0.1:1/a;"

// withLine replaces the line of a key.
func withLine(t *testing.T, text, key, line string) string {
	t.Helper()
	_, name, _ := strings.Cut(key, ".")
	pattern := regexp.MustCompile(`(?m)^` + name + ` = .*$`)
	if !pattern.MatchString(text) {
		t.Fatalf("no line of %s in:\n%s", key, text)
	}
	return pattern.ReplaceAllLiteralString(text, line)
}

// TestNoCommandTellsASecret makes mistakes of every kind around a secret, and
// reads what every command says of them.
func TestNoCommandTellsASecret(t *testing.T) {
	for key, text := range sites(t) {
		_, name, _ := strings.Cut(key, ".")
		for what, line := range mistakes(name) {
			config := writeConfig(t, withLine(t, text, key, line))
			for _, args := range commandsWithConfig(t, config) {
				wantNoLeak(t, key+": "+what, args...)
			}
		}
	}
}

// TestNoCutTellsASecret reads configurations that end anywhere.
func TestNoCutTellsASecret(t *testing.T) {
	for key, text := range sites(t) {
		for end := range len(text) {
			_, err := loadConfig(writeConfig(t, text[:end]), noEnvironment)
			if err != nil && leaked(err.Error()) != "" {
				t.Fatalf("%s, cut after %d bytes: %v", key, end, err)
			}
		}
	}
}

// TestSecretInAWrongField puts a secret wherever a text belongs.
func TestSecretInAWrongField(t *testing.T) {
	texts := sites(t)
	for key, text := range texts {
		section, _, _ := strings.Cut(key, ".")
		for _, field := range textFields("", reflect.TypeFor[Config]()) {
			table, name, _ := cutLast(field)
			if field == "root_path" { // whatever has names between slashes may be one
				continue
			}
			if table != "" && table != section && table != "encryption.master_key" && table != "log" && table != "metrics" {
				continue
			}
			t.Run(section+" "+field, func(t *testing.T) {
				secrets := []string{mark, "https://user:" + mark + "@127.0.0.1/"}
				if strings.Contains(name, "file") || name == "ca_certificates" || table == "encryption.master_key" {
					secrets = append(secrets, "/"+mark)
				}
				for _, secret := range secrets {
					config := writeConfig(t, setField(t, text, table, name, secret))
					for _, args := range commandsWithConfig(t, config) {
						if args[0] == "mount" || args[0] == "check" || args[0] == "seal" {
							output, _ := told(t, "", args...)
							if p := leaked(output); p != "" {
								t.Errorf("%s tells %q:\n%s", args[0], p, output)
							}
						}
					}
				}
			})
		}
	}
}

func cutLast(path string) (table, name string, ok bool) {
	i := strings.LastIndex(path, ".")
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// textFields returns the keys of t whose values are strings but no secrets.
func textFields(path string, t reflect.Type) (fields []string) {
	for _, field := range reflect.VisibleFields(t) {
		name, ok := field.Tag.Lookup("toml")
		switch {
		case !ok || field.Type == reflect.TypeFor[backends.Secret]() || field.Type == reflect.TypeFor[time.Time]():
		case field.Type.Kind() == reflect.String:
			fields = append(fields, joinKey(path, name))
		case field.Type.Kind() == reflect.Struct:
			fields = append(fields, textFields(joinKey(path, name), field.Type)...)
		}
	}
	return fields
}

// setField returns text with table.name set to value.
func setField(t *testing.T, text, table, name, value string) string {
	t.Helper()
	if table == "encryption.master_key" {
		return regexp.MustCompile(`(?m)^master_key = .*$`).ReplaceAllLiteralString(text, fmt.Sprintf("master_key = { id = 1, path = %q }", value))
	}
	line := fmt.Sprintf("%s = %q\n", name, value)
	head, body := "", text
	if table != "" {
		var found bool
		head, body, found = strings.Cut(text, "["+table+"]\n")
		if !found {
			return text + "[" + table + "]\n" + line
		}
		head += "[" + table + "]\n"
	}
	own, rest, _ := strings.Cut(body, "\n[")
	own = regexp.MustCompile(`(?m)^`+name+` = .*\n?`).ReplaceAllLiteralString(own, "")
	if rest != "" {
		rest = "\n[" + rest
	}
	return head + line + own + rest
}

// TestNoFileOfASecretIsTold puts mistakes into the files that hold secrets, and
// the secret where the name of its file belongs.
func TestNoFileOfASecretIsTold(t *testing.T) {
	dir := t.TempDir()
	for what, content := range map[string]string{
		"two words": mark + " " + mark, "not base64": mark + "?", "JSON": `{"type":"service_account","private_key":"` + mark,
		"typed": `{"type":"` + mark + `","private_key":7}`, "binary": "\xff" + mark, "lines": mark + "\n" + mark + "\n", "URL": "://" + mark,
		"account": `{"type":"service_account","client_email":"a@b","token_uri":"http://127.0.0.1:1/","private_key":"` + mark + `"}`,
	} {
		for _, mode := range []os.FileMode{0o600, 0o644} {
			file := filepath.Join(dir, fmt.Sprint(strings.ReplaceAll(what, " ", ""), mode))
			if err := os.WriteFile(file, []byte(content), mode); err != nil {
				t.Fatal(err)
			}
			for key, field := range map[string]string{
				"dir.path": "encryption.master_key.path", "s3.secret_key": "s3.secret_key_file",
				"azure.connection_string": "azure.connection_string_file", "gcs.service_account_file": "gcs.service_account_file",
			} {
				text := regexp.MustCompile(`(?m)^(secret_key|connection_string) = .*\n`).ReplaceAllLiteralString(sites(t)[key], "")
				table, name, _ := cutLast(field)
				config := writeConfig(t, setField(t, text, table, name, file))
				for _, command := range []string{"check", "mount", "verify"} {
					wantNoLeak(t, key+": "+what, command, "--config", config)
				}
			}
		}
	}
}

// TestNoArgumentIsTold gives a secret where the command line wants none.
func TestNoArgumentIsTold(t *testing.T) {
	for _, args := range [][]string{
		{mark}, {"--" + mark}, {"mount", mark}, {"check", mark}, {"seal", "--key", mark}, {"seal", "--key", "1=" + mark},
		{"unseal", "--key", "1=/" + mark}, {"unseal", "--key", mark + "=1"}, {"seal", mark}, {"keygen", "x", mark},
	} {
		wantNoLeak(t, "argument", args...)
	}
}

// TestDumpTellsNoSecret ends a daemon as the watchdog does, with all that Go
// tells of every goroutine, while a request with the secret is under way.
func TestDumpTellsNoSecret(t *testing.T) {
	asked := make(chan struct{}, 100)
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			asked <- struct{}{}
			<-r.Context().Done()
		}
	}))
	defer store.Close()
	text := withLine(t, sites(t)["s3.secret_key"], "s3.endpoint", fmt.Sprintf("endpoint = %q", store.URL))
	text = strings.Replace(text, "request_timeout = 1\n", "request_timeout = 300\n", 1)
	var stderr bytes.Buffer
	cmd := programCommand(t, "mount", "--config", writeConfig(t, text))
	cmd.Env = append(cmd.Env, "GOTRACEBACK=crash")
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	select {
	case <-asked:
	case <-time.After(hang):
		t.Error("nothing was asked of the store")
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	dump := stderr.String()
	if strings.Count(dump, "\ngoroutine ") < 3 || !strings.Contains(dump, "net/http.(*Transport)") {
		t.Errorf("no dump of all goroutines:\n%s", dump)
	}
	if p := leaked(dump); p != "" {
		t.Errorf("the dump tells %q", p)
	}
}

// TestConvertConfigTellsNoSecret is the same for the configuration of the plugin.
func TestConvertConfigTellsNoSecret(t *testing.T) {
	const s3 = `"BucketName":"b","Region":"r"`
	quoted := `"` + mark + `"`
	for what, text := range map[string]string{
		"whole":              `{"AwsS3Storage":{` + s3 + `,"AccessKey":"AK","SecretKey":` + quoted + `}}`,
		"number":             `{"AwsS3Storage":{` + s3 + `,"AccessKey":7,"SecretKey":` + quoted + `}}`,
		"no quotes":          `{"AwsS3Storage":{` + s3 + `,"SecretKey":` + mark + `}}`,
		"no closing quote":   `{"AwsS3Storage":{` + s3 + `,"SecretKey":"` + mark + `}}`,
		"escape":             `{"AwsS3Storage":{` + s3 + `,"SecretKey":"\` + mark + `"}}`,
		"no UTF-8":           "{\"AwsS3Storage\":{" + s3 + ",\"SecretKey\":\"" + mark + "\xff\"}}",
		"two values":         `{"AwsS3Storage":{` + s3 + `,"SecretKey":"x" ` + quoted + `}}`,
		"list":               `{"AwsS3Storage":{` + s3 + `,"SecretKey":[` + quoted + `]}}`,
		"unknown option":     `{"AwsS3Storage":{` + s3 + `,"Secret":` + quoted + `}}`,
		"name of an option":  `{"AwsS3Storage":{` + s3 + `,` + quoted + `:1}}`,
		"root path":          `{"AwsS3Storage":{` + s3 + `,"RootPath":"//` + mark + `"}}`,
		"structure":          `{"AwsS3Storage":{` + s3 + `,"StorageStructure":` + quoted + `}}`,
		"hybrid mode":        `{"AwsS3Storage":{` + s3 + `,"HybridMode":` + quoted + `}}`,
		"endpoint":           `{"AwsS3Storage":{` + s3 + `,"Endpoint":"https://a:` + mark + `@b"}}`,
		"query":              `{"AwsS3Storage":{` + s3 + `,"Endpoint":"https://b/?sig=` + mark + `"}}`,
		"key in place":       `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":[1,` + quoted + `]}}}`,
		"key alone":          `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":` + quoted + `}}}`,
		"previous key":       `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":[1,"/k"],"PreviousMasterKeys":[[2,` + quoted + `]]}}}`,
		"unknown of keys":    `{"AwsS3Storage":{` + s3 + `,"StorageEncryption":{"MasterKey":[1,"/k"],` + quoted + `:1}}}`,
		"section":            `{"AwsS3Storage":` + quoted + `}`,
		"section of a name":  `{` + quoted + `:{}}`,
		"connection string":  `{"AzureBlobStorage":{"ContainerName":"c","ConnectionString":"` + connection + `"}}`,
		"account key":        `{"BlobStorage":{"ContainerName":"c","AccountName":"a","AccountKey":` + quoted + `}}`,
		"account in place":   `{"GoogleCloudStorage":{"BucketName":"b","ServiceAccountFile":"{\"private_key\":\"` + mark + `\"}"}}`,
		"other Orthanc text": `{"AwsS3Storage":{` + s3 + `},"RegisteredUsers":{"a":` + quoted + `}}`,
	} {
		for end := range len(text) {
			file := filepath.Join(t.TempDir(), "orthanc.json")
			if err := os.WriteFile(file, []byte(text[:len(text)-end]), 0o600); err != nil {
				t.Fatal(err)
			}
			if output, _ := told(t, "", "convert-config", file); leaked(output) != "" {
				t.Errorf("%s, %d bytes cut off: tells %q:\n%s", what, end, leaked(output), output)
				break
			}
		}
	}
}
