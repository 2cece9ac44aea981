package interop

import (
	"errors"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

func provider(t *testing.T) *oidc.Provider {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), issuer(t))
	must(t, err)
	return provider
}

// verifier checks access tokens; without an ID token's algorithms in the metadata, go-oidc must be told of ours.
func verifier(t *testing.T, audience string) *oidc.IDTokenVerifier {
	return provider(t).Verifier(&oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{oidc.ES256}})
}

func accessToken(t *testing.T) string {
	t.Helper()
	config := service(t, oauth2.AuthStyleInHeader)
	token, err := config.Token(t.Context())
	must(t, err)
	return token.AccessToken
}

func TestGoOIDCDiscoversTheTokenEndpoint(t *testing.T) {
	if found := provider(t).Endpoint().TokenURL; found != issuer(t)+"/oauth/token" {
		t.Errorf("found %q", found)
	}
}

func TestGoOIDCVerifiesAnAccessTokenAgainstThePublishedKeys(t *testing.T) {
	verified, err := verifier(t, audience).Verify(t.Context(), accessToken(t))
	must(t, err)
	var claims struct {
		ClientID string `json:"client_id"`
		Scope    string `json:"scope"`
		Type     string `json:"type"`
	}
	must(t, verified.Claims(&claims))
	if verified.Subject != serviceID || claims.ClientID != serviceID || claims.Type != "access" {
		t.Errorf("subject %q, claims %+v", verified.Subject, claims)
	}
}

func TestGoOIDCRefusesATokenForAnotherAudience(t *testing.T) {
	_, err := verifier(t, "https://elsewhere.example").Verify(t.Context(), accessToken(t))
	if err == nil || !strings.Contains(err.Error(), "audience") {
		t.Errorf("got %v", err)
	}
}

func TestGoOIDCRefusesATokenWhoseClaimsWereChanged(t *testing.T) {
	parts := strings.Split(accessToken(t), ".")
	other := strings.Split(signIn(t).AccessToken, ".")
	forged := parts[0] + "." + other[1] + "." + parts[2]
	_, err := verifier(t, audience).Verify(t.Context(), forged)
	var expired *oidc.TokenExpiredError
	if err == nil || errors.As(err, &expired) || !strings.Contains(err.Error(), "signature") {
		t.Errorf("got %v", err)
	}
}
