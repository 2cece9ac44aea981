package interop

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func service(t *testing.T, style oauth2.AuthStyle) clientcredentials.Config {
	return clientcredentials.Config{
		ClientID:     serviceID,
		ClientSecret: serviceSecret,
		TokenURL:     issuer(t) + "/oauth/token",
		Scopes:       serviceScope,
		AuthStyle:    style,
	}
}

func account(t *testing.T) oauth2.Config {
	endpoint := oauth2.Endpoint{TokenURL: issuer(t) + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams}
	return oauth2.Config{ClientID: accountClient, Endpoint: endpoint}
}

func TestClientCredentialsGetsAServiceToken(t *testing.T) {
	styles := map[string]oauth2.AuthStyle{
		"by HTTP Basic":  oauth2.AuthStyleInHeader,
		"in the body":    oauth2.AuthStyleInParams,
		"finding it out": oauth2.AuthStyleAutoDetect,
	}
	for name, style := range styles {
		t.Run(name, func(t *testing.T) {
			config := service(t, style)
			token, err := config.Token(t.Context())
			must(t, err)
			if token.Type() != "Bearer" || token.Extra("scope") != "groups:read members:read" {
				t.Errorf("type %q, scope %q", token.Type(), token.Extra("scope"))
			}
			if left := time.Until(token.Expiry); left < 14*time.Minute || left > 15*time.Minute {
				t.Errorf("expires in %s", left)
			}
		})
	}
}

func TestClientCredentialsHTTPClientSendsItsTokenToAnAPI(t *testing.T) {
	config := service(t, oauth2.AuthStyleInHeader)
	answer, err := config.Client(t.Context()).Get(issuer(t) + "/api/auth/groups/01890000-0000-7000-8000-000000000000")
	must(t, err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown group is answered %s", answer.Status)
	}
}

func TestRetrieveErrorNamesAWrongSecret(t *testing.T) {
	config := service(t, oauth2.AuthStyleInHeader)
	config.ClientSecret = "wrong"
	_, err := config.Token(t.Context())
	expectRefusal(t, err, "invalid_client", http.StatusUnauthorized)
}

func TestRetrieveErrorNamesAScopeTheClientWasNotGiven(t *testing.T) {
	config := service(t, oauth2.AuthStyleInHeader)
	config.Scopes = []string{"groups:admin"}
	_, err := config.Token(t.Context())
	expectRefusal(t, err, "invalid_scope", http.StatusBadRequest)
}

func TestTokenSourceRenewsTheTokensOfASignIn(t *testing.T) {
	tokens := signIn(t)
	config := account(t)
	expired := &oauth2.Token{AccessToken: tokens.AccessToken, RefreshToken: tokens.RefreshToken, Expiry: time.Unix(1, 0)}
	source := config.TokenSource(t.Context(), expired)
	renewed, err := source.Token()
	must(t, err)
	if renewed.RefreshToken == tokens.RefreshToken || renewed.AccessToken == tokens.AccessToken {
		t.Error("renewing gave the same tokens again")
	}
	again, err := source.Token()
	must(t, err)
	if again.AccessToken != renewed.AccessToken {
		t.Error("a live token was renewed")
	}
}

func TestTokenSourceHearsThatARefreshTokenIsNone(t *testing.T) {
	config := account(t)
	source := config.TokenSource(context.Background(), &oauth2.Token{RefreshToken: "nonsense"})
	_, err := source.Token()
	expectRefusal(t, err, "invalid_grant", http.StatusBadRequest)
}

type introspection struct {
	Active   bool   `json:"active"`
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	Type     string `json:"token_type"`
	Expires  int64  `json:"exp"`
}

func introspect(t *testing.T, token string) (answer introspection) {
	t.Helper()
	decode(t, post(t, "/oauth/introspect", serviceID, serviceSecret, url.Values{"token": {token}}), &answer)
	return answer
}

func TestPlainHTTPIntrospectsAndRevokes(t *testing.T) {
	config := service(t, oauth2.AuthStyleInHeader)
	token, err := config.Token(t.Context())
	must(t, err)
	live := introspect(t, token.AccessToken)
	if !live.Active || live.ClientID != serviceID || live.Type != "Bearer" || live.Expires == 0 {
		t.Errorf("a live token is introspected as %+v", live)
	}
	form := url.Values{"token": {token.AccessToken}, "token_type_hint": {"access_token"}}
	answer := post(t, "/oauth/revoke", serviceID, serviceSecret, form)
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("revocation is answered %s", answer.Status)
	}
	if dead := introspect(t, token.AccessToken); dead != (introspection{}) {
		t.Errorf("a revoked token is introspected as %+v", dead)
	}
}

func TestPlainHTTPHearsThatAWrongSecretMayNotIntrospect(t *testing.T) {
	answer := post(t, "/oauth/introspect", serviceID, "wrong", url.Values{"token": {"anything"}})
	answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("%s, WWW-Authenticate %q", answer.Status, answer.Header.Get("WWW-Authenticate"))
	}
}

// expectRefusal wants x/oauth2's own error, with our error code, our sentence and our status in it.
func expectRefusal(t *testing.T, err error, code string, status int) {
	t.Helper()
	var refusal *oauth2.RetrieveError
	if !errors.As(err, &refusal) {
		t.Fatalf("not a refusal of the server: %v", err)
	}
	if refusal.ErrorCode != code || refusal.Response.StatusCode != status || refusal.ErrorDescription == "" {
		t.Errorf("got %q (%s, %q), want %q (%d)", refusal.ErrorCode, refusal.Response.Status, refusal.ErrorDescription, code, status)
	}
}
