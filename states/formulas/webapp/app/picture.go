package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// How long a request waits for the volume before it gets the picture as it was last read. When a
	// member of a replicated volume falls silent, what asks the volume stalls for some seconds.
	patience = 300 * time.Millisecond
	// What it is kept in is memory.
	largest = 16 << 20
)

// picture is a file on a volume that may fall silent; what was last read of it is kept.
type picture struct {
	path string

	mutex   sync.Mutex
	kept    *content
	reading *reading
}

// content is what the file held; it does not change.
type content struct {
	bytes    []byte
	modified time.Time
}

// reading is one look at the file, shared by all who ask meanwhile: a volume that stalls holds up
// one thread, not one for each request.
type reading struct {
	done chan struct{}
	err  error
}

// known says whether there is something to show, now or from before.
func (p *picture) known() bool {
	if p.last() == nil {
		select {
		case <-p.read().done:
		case <-time.After(patience):
		}
	}
	return p.last() != nil
}

func (p *picture) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kept, err := p.current(r.Context())
	if err != nil {
		log.Printf("/image: %v", err)
		if errors.Is(err, fs.ErrNotExist) {
			http.Error(w, "there is no picture", http.StatusNotFound)
		} else {
			http.Error(w, "the picture cannot be read", http.StatusServiceUnavailable)
		}
		return
	}
	http.ServeContent(w, r, filepath.Base(p.path), kept.modified, bytes.NewReader(kept.bytes))
}

// current is the file as it is, or as it was where the volume does not say so in time. It is waited
// for as long as the client does if it was never read.
func (p *picture) current(client context.Context) (*content, error) {
	reading := p.read()
	select {
	case <-reading.done:
	case <-time.After(patience):
		if kept := p.last(); kept != nil {
			return kept, nil
		}
		select {
		case <-reading.done:
		case <-client.Done():
			return nil, fmt.Errorf("%s is not read yet: %w", p.path, client.Err())
		}
	}
	kept := p.last()
	if kept == nil {
		return nil, reading.err
	}
	return kept, nil
}

func (p *picture) last() *content {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.kept
}

// read begins a look at the file, or joins the one that is under way.
func (p *picture) read() *reading {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.reading == nil {
		p.reading = &reading{done: make(chan struct{})}
		go p.look(p.reading, p.kept)
	}
	return p.reading
}

func (p *picture) look(reading *reading, before *content) {
	found, err := contentOf(p.path, before)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	switch {
	case err == nil:
		p.kept = found
	case errors.Is(err, fs.ErrNotExist) && before != nil:
		// Either somebody took it away, or the volume is not mounted: that looks the same.
		log.Printf("%s is gone; it is shown as it was", p.path)
	case before != nil:
		log.Printf("%s is shown as it was: %v", p.path, err)
	}
	reading.err = err
	p.reading = nil
	close(reading.done)
}

// contentOf is what the file holds; it is not read again if it is what was there before.
func contentOf(path string, before *content) (*content, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > largest {
		return nil, fmt.Errorf("%s is not a regular file of at most %d bytes", path, largest)
	}
	if before != nil && before.modified.Equal(info.ModTime()) && int64(len(before.bytes)) == info.Size() {
		return before, nil
	}
	read, err := io.ReadAll(io.LimitReader(file, largest))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return &content{bytes: read, modified: info.ModTime()}, nil
}
