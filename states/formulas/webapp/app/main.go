// The web application of the reference fleet: it says which host answered.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// How long running requests may take to finish after a stop was asked for.
const shutdownGrace = 15 * time.Second

func main() {
	listen := environment("LISTEN", ":8090")
	greeting := environment("GREETING", "Hello")
	release := environment("RELEASE", "unknown")
	host, err := os.Hostname()
	if err != nil {
		log.Fatalf("cannot tell the host name: %v", err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("X-Release", release)
		fmt.Fprintf(w, "%s from %s\n", greeting, host)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})

	server := &http.Server{Addr: listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
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

	log.Printf("release %s listens on %s", release, listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("cannot serve on %s: %v", listen, err)
	}
	<-finished
}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
