// The web application of the reference fleet: it says which host answered, serves a static file, and
// asks the database for its version through the balancers.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lib/pq"
)

const (
	// How long running requests may take to finish after a stop was asked for.
	shutdownGrace = 15 * time.Second
	// Without a request for that long, an application that drains counts as drained.
	quiet = 2 * time.Second
	// For the whole of one question to the database.
	databaseLimit = 5 * time.Second
	// For connecting to one balancer, before the next is tried.
	dialLimit = time.Second
)

func main() {
	app := &application{
		greeting:  environment("GREETING", "Hello"),
		release:   environment("RELEASE", "unknown"),
		static:    environment("STATIC", "/srv/static"),
		drainFile: environment("DRAIN_FILE", "/run/webapp/draining"),
		database:  openDatabase(strings.Split(environment("DATABASES", ""), ",")),
	}
	host, err := os.Hostname()
	if err != nil {
		log.Fatalf("cannot tell the host name: %v", err)
	}
	app.host = host
	app.last.Store(time.Now().UnixNano())

	listen := environment("LISTEN", ":8090")
	server := &http.Server{Addr: listen, Handler: app.routes(), ReadHeaderTimeout: 10 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		<-stop.Done()
		grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			log.Printf("some requests did not finish: %v", err)
		}
	}()

	log.Printf("release %s listens on %s", app.release, listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("cannot serve on %s: %v", listen, err)
	}
	<-finished
}

type application struct {
	host, greeting, release, static, drainFile string

	database *sql.DB
	// Requests under way, and when the last one came (nanoseconds since 1970); checks do not count.
	running atomic.Int64
	last    atomic.Int64
}

func (app *application) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", app.counted(app.hello))
	mux.Handle("/image", app.counted(app.image))
	mux.Handle("/db", app.counted(app.databaseVersion))
	mux.HandleFunc("/healthz", app.health)
	mux.HandleFunc("/drained", app.drained)
	return mux
}

func (app *application) counted(handle http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app.running.Add(1)
		app.last.Store(time.Now().UnixNano())
		defer app.running.Add(-1)
		w.Header().Set("X-Release", app.release)
		w.Header().Set("X-Host", app.host)
		handle(w, r)
	})
}

func (app *application) hello(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintf(w, "%s from %s\n", app.greeting, app.host)
}

func (app *application) image(w http.ResponseWriter, r *http.Request) {
	http.ServeFile(w, r, filepath.Join(app.static, "image.png"))
}

func (app *application) databaseVersion(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), databaseLimit)
	defer cancel()
	var version string
	if err := app.database.QueryRowContext(ctx, "SELECT version()").Scan(&version); err != nil {
		log.Printf("database: %v", err)
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, version)
}

// 404 is the balancers' word for "send nothing new, but let finish what there is".
func (app *application) health(w http.ResponseWriter, _ *http.Request) {
	if app.draining() {
		http.Error(w, "draining", http.StatusNotFound)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (app *application) drained(w http.ResponseWriter, _ *http.Request) {
	idle := time.Since(time.Unix(0, app.last.Load()))
	if app.draining() && app.running.Load() == 0 && idle >= quiet {
		fmt.Fprintln(w, "drained")
		return
	}
	http.Error(w, "still serving", http.StatusServiceUnavailable)
}

func (app *application) draining() bool {
	_, err := os.Stat(app.drainFile)
	return err == nil
}

// The database behind whichever of the addresses answers; user, password and name come from libpq's
// own variables. Nothing is dialled before the first question.
func openDatabase(addresses []string) *sql.DB {
	source := url.URL{Scheme: "postgres", Path: "/" + environment("PGDATABASE", "webapp")}
	source.User = url.UserPassword(environment("PGUSER", "webapp"), os.Getenv("PGPASSWORD"))
	source.Host = "balancers"
	source.RawQuery = "sslmode=disable"
	connector, err := pq.NewConnector(source.String())
	if err != nil {
		log.Fatalf("cannot read the database's settings: %v", err)
	}
	connector.Dialer(&anyOf{addresses: addresses})
	database := sql.OpenDB(connector)
	database.SetMaxOpenConns(20)
	database.SetMaxIdleConns(5)
	// Not for ever on one balancer: the other may have come back.
	database.SetConnMaxLifetime(5 * time.Minute)
	return database
}

// Dials one address after the other, beginning with another one each time.
type anyOf struct {
	addresses []string
	turn      atomic.Uint32
}

func (d *anyOf) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, dialLimit)
}

func (d *anyOf) DialTimeout(network, _ string, _ time.Duration) (net.Conn, error) {
	err := errors.New("there is no balancer")
	first := int(d.turn.Add(1))
	for i := range d.addresses {
		var conn net.Conn
		address := d.addresses[(first+i)%len(d.addresses)]
		if conn, err = net.DialTimeout(network, address, dialLimit); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
