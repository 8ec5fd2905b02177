package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lib/pq"
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

// attempt is a connector that answers with this error, and says that it was asked.
type attempt struct {
	err   error
	asked *int
}

func (a attempt) Connect(context.Context) (driver.Conn, error) {
	*a.asked++
	return nil, a.err
}

func (a attempt) Driver() driver.Driver { return nil }

func TestASecondPasswordIsTriedOnlyWhereTheFirstIsWrong(t *testing.T) {
	wrong, away := &pq.Error{Code: "28P01"}, errors.New("connection refused")
	for _, c := range []struct {
		first error
		asked int
	}{{wrong, 2}, {away, 1}, {nil, 1}} {
		asked := 0
		_, err := anyOf{attempt{c.first, &asked}, attempt{away, &asked}}.Connect(context.Background())
		if asked != c.asked {
			t.Errorf("after %v, %d were asked, not %d", c.first, asked, c.asked)
		}
		if c.first == nil && err != nil {
			t.Errorf("it is connected: %v", err)
		}
	}
}
