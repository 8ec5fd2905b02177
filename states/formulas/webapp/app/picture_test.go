package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func asked(p *picture) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	p.ServeHTTP(answer, httptest.NewRequest("GET", "/image", nil))
	return answer
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestThePictureIsAsTheFileIs(t *testing.T) {
	p := &picture{path: filepath.Join(t.TempDir(), "image.png")}
	if p.known() {
		t.Fatal("there is no file yet")
	}
	if got := asked(p).Code; got != http.StatusNotFound {
		t.Fatalf("no file: %d", got)
	}
	for _, text := range []string{"one", "another"} {
		write(t, p.path, text)
		if got := asked(p).Body.String(); got != text {
			t.Fatalf("%q is shown as %q", text, got)
		}
	}
	if !p.known() {
		t.Fatal("it was shown just now")
	}
}

func TestAVolumeThatIsSilentOrGoneShowsWhatItHeld(t *testing.T) {
	p := &picture{path: filepath.Join(t.TempDir(), "image.png")}
	write(t, p.path, "one")
	asked(p)
	if err := os.Remove(p.path); err != nil {
		t.Fatal(err)
	}
	if got := asked(p).Body.String(); got != "one" {
		t.Fatalf("gone: %q", got)
	}
	// A pipe without a writer is opened when one comes: until then it is silent.
	if err := syscall.Mkfifo(p.path, 0o644); err != nil {
		t.Fatal(err)
	}
	for range [3]int{} {
		begin := time.Now()
		if got := asked(p).Body.String(); got != "one" {
			t.Fatalf("silent: %q", got)
		}
		if time.Since(begin) < patience {
			t.Fatal("it was not waited for")
		}
	}
	if !p.known() {
		t.Fatal("what it held is known")
	}
	writer, err := os.OpenFile(p.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if got := asked(p).Body.String(); got != "one" {
		t.Fatalf("not a file: %q", got)
	}
}
