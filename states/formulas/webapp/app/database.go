package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

const (
	// For one balancer to answer; all together stay below what the front door waits for an answer.
	perAttempt = 700 * time.Millisecond
	maxIdle    = 2
	maxOpen    = 10
)

// database reaches PostgreSQL through several balancers. Each has a pool of its own, so that the
// connections of one that died do not stand in the way of the others.
type database struct {
	pools []*sql.DB
	names []string
	// The one that answered last.
	preferred atomic.Int64
}

// openDatabase reads the settings; it connects only when asked. Without settings there is none.
func openDatabase() (*database, error) {
	found := &database{}
	hosts := strings.Fields(os.Getenv("DATABASE_HOSTS"))
	if len(hosts) == 0 {
		return found, nil
	}
	// A credential of the unit: in no environment, and in no list of arguments. Each line is a password;
	// while one is rotated, the database knows one of two.
	text, err := os.ReadFile(filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), "database-password"))
	if err != nil {
		return nil, err
	}
	passwords := strings.Fields(string(text))
	if len(passwords) == 0 {
		return nil, errors.New("the credential database-password is empty")
	}
	// Whichever member a balancer leads to, its certificate has the name that all of them share.
	settings := fmt.Sprintf("user=%s dbname=%s host=%s sslmode=verify-full sslrootcert=%s fallback_application_name=webapp",
		quoted(os.Getenv("DATABASE_USER")), quoted(os.Getenv("DATABASE_NAME")),
		quoted(os.Getenv("DATABASE_SERVER")), quoted(os.Getenv("DATABASE_CA")))
	for _, host := range hosts {
		var either anyOf
		for _, password := range passwords {
			connector, err := pq.NewConnector(settings + " password=" + quoted(password))
			if err != nil {
				return nil, err
			}
			connector.Dialer(through(host))
			either = append(either, connector)
		}
		pool := sql.OpenDB(either)
		pool.SetMaxIdleConns(maxIdle)
		pool.SetMaxOpenConns(maxOpen)
		pool.SetConnMaxIdleTime(time.Minute)
		found.pools = append(found.pools, pool)
		found.names = append(found.names, host)
	}
	return found, nil
}

// anyOf connects with one password after the other, as long as the database does not know it.
type anyOf []driver.Connector

func (passwords anyOf) Connect(ctx context.Context) (connection driver.Conn, err error) {
	for _, connector := range passwords {
		connection, err = connector.Connect(ctx)
		var refused *pq.Error
		if !errors.As(err, &refused) || refused.Code.Name() != "invalid_password" {
			break
		}
	}
	return connection, err
}

func (passwords anyOf) Driver() driver.Driver { return passwords[0].Driver() }

// version asks one balancer after the other, beginning with the one that answered last.
func (d *database) version(ctx context.Context) (string, error) {
	if len(d.pools) == 0 {
		return "", errors.New("no database is configured")
	}
	first := int(d.preferred.Load())
	var failures []error
	for offset := range d.pools {
		at := (first + offset) % len(d.pools)
		version, err := ask(ctx, d.pools[at])
		if err == nil {
			d.preferred.Store(int64(at))
			return version, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", d.names[at], err))
	}
	return "", fmt.Errorf("no balancer led to the database: %v", failures)
}

func ask(ctx context.Context, pool *sql.DB) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, perAttempt)
	defer cancel()
	var version string
	err := pool.QueryRowContext(ctx, "SELECT version()").Scan(&version)
	return version, err
}

func (d *database) close() {
	for _, pool := range d.pools {
		pool.Close()
	}
}

// quoted writes a value as PostgreSQL's connection strings want it.
func quoted(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// through dials a balancer, whatever name is asked for. Its connections fail when the other side is
// silent: the driver itself would wait for an answer as long as TCP does.
type through string

func (balancer through) Dial(network, address string) (net.Conn, error) {
	return balancer.DialTimeout(network, address, perAttempt)
}

func (balancer through) DialTimeout(network, _ string, _ time.Duration) (net.Conn, error) {
	connection, err := net.DialTimeout(network, string(balancer), perAttempt)
	if err != nil {
		return nil, err
	}
	return &limited{connection}, nil
}

// limited gives each read and write a time limit of its own.
type limited struct{ net.Conn }

func (l *limited) Read(bytes []byte) (int, error) {
	if err := l.SetReadDeadline(time.Now().Add(perAttempt)); err != nil {
		return 0, err
	}
	return l.Conn.Read(bytes)
}

func (l *limited) Write(bytes []byte) (int, error) {
	if err := l.SetWriteDeadline(time.Now().Add(perAttempt)); err != nil {
		return 0, err
	}
	return l.Conn.Write(bytes)
}
