package interop

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	gatewayID     = "go-gateway"
	gatewaySecret = "a secret of the tests, long enough"
	gatewayRule   = `{"token_exchange":[{"subject_clients":["` + accountClient + `"],"subject_audiences":["` + audience +
		`"],"scope":"openid email"}]}`
)

var registerGateway = sync.OnceValue(func() error {
	data := os.Getenv("TOKENSMITH_DATA")
	file := filepath.Join(data, gatewayID+".json")
	if err := os.WriteFile(file, []byte(gatewayRule), 0o600); err != nil {
		return err
	}
	register := exec.Command(os.Getenv("TOKENSMITH_BIN"), "client", "create", gatewayID, "--data", data,
		"--metadata", file, "--grant", exchangeGrant, "--scope", "openid email", "--secret-stdin")
	register.Stdin = strings.NewReader(gatewaySecret)
	register.Stderr = os.Stderr
	return register.Run()
})

// x/oauth2 has no token exchange of its own; its client credentials let the grant type be another.
func exchange(t *testing.T, subjectToken string, scope ...string) (*oauth2.Token, error) {
	t.Helper()
	must(t, registerGateway())
	config := clientcredentials.Config{
		ClientID:     gatewayID,
		ClientSecret: gatewaySecret,
		TokenURL:     issuer(t) + "/oauth/token",
		Scopes:       scope,
		AuthStyle:    oauth2.AuthStyleInHeader,
		EndpointParams: url.Values{
			"grant_type":         {exchangeGrant},
			"subject_token":      {subjectToken},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		},
	}
	return config.Token(t.Context())
}

func TestClientCredentialsExchangesAUsersToken(t *testing.T) {
	alice := signIn(t)
	token, err := exchange(t, alice.AccessToken, "openid")
	must(t, err)
	verified, err := verifier(t, audience).Verify(t.Context(), token.AccessToken)
	must(t, err)
	var claims struct {
		Act struct {
			Sub string `json:"sub"`
		} `json:"act"`
	}
	must(t, verified.Claims(&claims))
	if verified.Subject != alice.UserID || claims.Act.Sub != gatewayID {
		t.Errorf("subject %q, acting %q", verified.Subject, claims.Act.Sub)
	}
}

func TestRetrieveErrorNamesWhyATokenIsNotExchanged(t *testing.T) {
	_, err := exchange(t, "nonsense")
	expectRefusal(t, err, "invalid_request", http.StatusBadRequest)
	_, err = exchange(t, signIn(t).AccessToken, "profile")
	expectRefusal(t, err, "invalid_scope", http.StatusBadRequest)
}
