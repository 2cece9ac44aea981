// Package interop runs unmodified Go clients against the started server.
package interop

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

const (
	serviceID     = "chat-api-service"
	serviceSecret = "your-service-secret-change-in-production"
	audience      = "https://api.activity.com"
	// The public client under which the server's own sign-in issues tokens.
	accountClient = "tokensmith-account"
)

var serviceScope = []string{"groups:read", "members:read"}

func issuer(t *testing.T) string {
	t.Helper()
	issuer := os.Getenv("TOKENSMITH_URL")
	if issuer == "" {
		t.Fatal("run interop/go/run")
	}
	return issuer
}

type login struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	UserID       string `json:"user_id"`
}

// signIn signs Alice in, in the older clients' spelling.
func signIn(t *testing.T) login {
	t.Helper()
	body := `{"email":"alice.admin@example.com","password":"correct horse battery staple"}`
	answer, err := http.Post(issuer(t)+"/auth/login", "application/json", bytes.NewBufferString(body))
	must(t, err)
	var tokens login
	decode(t, answer, &tokens)
	return tokens
}

// post sends a form with HTTP Basic, as a program without any library would.
func post(t *testing.T, path, id, secret string, form url.Values) *http.Response {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, issuer(t)+path, strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(id, secret)
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	return answer
}

func decode(t *testing.T, answer *http.Response, into any) {
	t.Helper()
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", answer.Request.URL, answer.Status)
	}
	must(t, json.NewDecoder(answer.Body).Decode(into))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
