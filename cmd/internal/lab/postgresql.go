package lab

import (
	"context"
	_ "embed"
	"errors"
	"strconv"
	"syscall"
)

//go:embed testdata/postgresql.sh
var postgreSQLScript string

// PostgreSQL is a running server that keeps the index of Orthancs.
type PostgreSQL struct {
	*Process
	port int
}

// StartPostgreSQL starts the server of the Debian below root, with an empty
// database whose files are in dir, and returns when it serves. Whoever is on this
// machine may connect to the port.
func StartPostgreSQL(ctx context.Context, root, dir string, port int) (*PostgreSQL, error) {
	p, err := start("PostgreSQL", "unshare", "--mount", "--propagation", "private",
		"sh", "-euc", postgreSQLScript, "sh", root, dir, strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	if err := p.Await(ctx, "database system is ready to accept connections"); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return &PostgreSQL{p, port}, nil
}

// Stop ends the server in order, and the connections to it with it.
func (p *PostgreSQL) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGINT); err != nil {
		return err
	}
	return p.Process.Stop(ctx)
}

// Settings are those that let Orthancs share the server as their index, while
// their files stay in StorageDirectory. Each Orthanc needs a name of its own.
func (p *PostgreSQL) Settings(orthanc string) map[string]any {
	return map[string]any{
		"DatabaseServerIdentifier": orthanc,
		"PostgreSQL": map[string]any{
			"EnableIndex":           true,
			"EnableStorage":         false,
			"Lock":                  false,
			"Host":                  "127.0.0.1",
			"Port":                  p.port,
			"Database":              "postgres",
			"Username":              "orthanc",
			"Password":              "",
			"IndexConnectionsCount": 8,
			// How often a transaction is repeated that met another one, 0.1 s apart.
			"MaximumConnectionRetries": 30,
		},
	}
}
