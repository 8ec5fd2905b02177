// The web application of the reference fleet: it says which host answered, shows a picture from
// its static files, and asks PostgreSQL for its version through the balancers.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// How long running requests may take to finish after a stop was asked for.
	shutdownGrace = 15 * time.Second
	// Without a request for so long, with none in flight, it counts as drained.
	quiet = 2 * time.Second
	// While this exists, health checks are told to send no more requests here.
	draining = "/run/webapp/draining"
)

func main() {
	listen := environment("LISTEN", ":8090")
	greeting := environment("GREETING", "Hello")
	release := environment("RELEASE", "unknown")
	image := &picture{path: filepath.Join(environment("STATIC", "/srv/static"), "image.png")}
	host, err := os.Hostname()
	if err != nil {
		log.Fatalf("cannot tell the host name: %v", err)
	}
	database, err := openDatabase()
	if err != nil {
		log.Fatalf("cannot use the database's settings: %v", err)
	}

	pages := http.NewServeMux()
	pages.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, "%s from %s\n", greeting, host)
	})
	pages.Handle("/image", image)
	pages.HandleFunc("/db", func(w http.ResponseWriter, r *http.Request) {
		version, err := database.version(r.Context())
		if err != nil {
			log.Printf("/db: %v", err)
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%s\n", version)
	})

	// What is counted are people's requests; checks, and the question whether it is drained, are not.
	traffic := &traffic{}
	mux := http.NewServeMux()
	mux.Handle("/", traffic.count(named(host, release, pages)))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if isDraining() {
			http.Error(w, "draining", http.StatusNotFound)
			return
		}
		// After a boot the volume may come later. Once it was there, its absence takes nobody out:
		// what else is asked for goes on.
		if !image.known() {
			http.Error(w, "the picture was not read yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("/drained", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case !isDraining():
			http.Error(w, "it is not draining: "+draining+" does not exist", http.StatusServiceUnavailable)
		case !traffic.isQuiet():
			http.Error(w, "there is still traffic", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "drained")
		}
	})

	server := &http.Server{
		Addr:              listen,
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       60 * time.Second,
	}
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

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		log.Fatalf("cannot listen on %s: %v", listen, err)
	}
	log.Printf("release %s listens on %s", release, listen)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("cannot serve on %s: %v", listen, err)
	}
	<-finished
	database.close()
}

// named says in every answer who gave it.
func named(host, release string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Host", host)
		w.Header().Set("X-Release", release)
		next.ServeHTTP(w, r)
	})
}

func isDraining() bool {
	_, err := os.Stat(draining)
	return err == nil
}

// traffic knows how many requests are in flight, and when the last one came.
type traffic struct {
	inFlight atomic.Int64
	last     atomic.Int64
}

func (t *traffic) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.inFlight.Add(1)
		t.last.Store(time.Now().UnixNano())
		defer t.inFlight.Add(-1)
		next.ServeHTTP(w, r)
	})
}

func (t *traffic) isQuiet() bool {
	since := time.Since(time.Unix(0, t.last.Load()))
	return t.inFlight.Load() == 0 && since >= quiet
}

func environment(name, fallback string) string {
	if value := strings.TrimSpace(os.Getenv(name)); value != "" {
		return value
	}
	return fallback
}
