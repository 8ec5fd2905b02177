package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestTrafficIsQuietOnlyAfterTheLastRequest(t *testing.T) {
	traffic := &traffic{}
	if !traffic.isQuiet() {
		t.Fatal("nothing came yet")
	}
	handler := traffic.count(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if traffic.isQuiet() {
			t.Error("a request is in flight")
		}
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if traffic.isQuiet() {
		t.Error("the last request came just now")
	}
	traffic.last.Store(time.Now().Add(-quiet).UnixNano())
	if !traffic.isQuiet() {
		t.Error("it was quiet for long enough")
	}
}

func TestQuotedValues(t *testing.T) {
	for value, want := range map[string]string{"a": "'a'", `it's`: `'it\'s'`, `b\`: `'b\\'`, "": "''"} {
		if got := quoted(value); got != want {
			t.Errorf("%q becomes %s, not %s", value, got, want)
		}
	}
}
