package interop;

import static interop.TestServer.ACCOUNT_CLIENT;
import static interop.TestServer.AUDIENCE;
import static interop.TestServer.ISSUER;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Instant;

import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.oauth2.sdk.Scope;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.TokenResponse;
import com.nimbusds.oauth2.sdk.auth.ClientSecretBasic;
import com.nimbusds.oauth2.sdk.auth.Secret;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.token.BearerAccessToken;
import com.nimbusds.oauth2.sdk.token.TokenTypeURI;
import com.nimbusds.oauth2.sdk.tokenexchange.TokenExchangeGrant;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.security.oauth2.client.endpoint.RestClientTokenExchangeTokenResponseClient;
import org.springframework.security.oauth2.client.endpoint.TokenExchangeGrantRequest;
import org.springframework.security.oauth2.client.registration.ClientRegistrations;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.OAuth2AccessToken;
import org.springframework.security.oauth2.core.OAuth2AccessToken.TokenType;
import org.springframework.security.oauth2.core.OAuth2AuthorizationException;

/** Token exchange (RFC 8693) with Nimbus and Spring Security: a gateway gets a token of its own for a user. */
class ExchangeTest {
    private static final String GATEWAY = "java-gateway";
    private static final String SECRET = "a secret of the tests, long enough";
    private static final String GRANT = AuthorizationGrantType.TOKEN_EXCHANGE.getValue();

    @BeforeAll
    static void register_a_gateway() throws Exception {
        var rule = "{\"subject_clients\":[\"%s\"],\"subject_audiences\":[\"%s\"],\"scope\":\"openid email\"}"
            .formatted(ACCOUNT_CLIENT, AUDIENCE);
        TestServer.register(GATEWAY, "{\"token_exchange\":[" + rule + "]}", SECRET,
            "--grant", GRANT, "--scope", "openid email");
    }

    @Test
    void nimbus_exchanges_a_users_token_for_one_that_says_who_acts() throws Exception {
        var tokens = nimbus(TestServer.signIn("access_token"), "openid").toSuccessResponse().getTokens();
        assertEquals(GATEWAY, claims(tokens.getAccessToken().getValue()).getJSONObjectClaim("act").get("sub"));
    }

    @Test
    void nimbus_names_the_error_of_a_scope_that_the_rule_does_not_give() throws Exception {
        var error = nimbus(TestServer.signIn("access_token"), "profile").toErrorResponse().getErrorObject();
        assertEquals("invalid_scope", error.getCode());
        assertNotNull(error.getDescription());
    }

    @Test
    void spring_exchanges_a_users_token_for_one_that_says_who_acts() throws Exception {
        var exchanged = spring(TestServer.signIn("access_token"));
        assertEquals(GATEWAY, claims(exchanged).getJSONObjectClaim("act").get("sub"));
    }

    @Test
    void spring_names_the_error_of_a_subject_token_that_is_none() {
        var refusal = assertThrows(OAuth2AuthorizationException.class, () -> spring("nonsense"));
        assertEquals("invalid_request", refusal.getError().getErrorCode());
        assertNotNull(refusal.getError().getDescription());
    }

    private static TokenResponse nimbus(String token, String scope) throws Exception {
        var grant = new TokenExchangeGrant(new BearerAccessToken(token), TokenTypeURI.ACCESS_TOKEN);
        var method = new ClientSecretBasic(new ClientID(GATEWAY), new Secret(SECRET));
        var request = new TokenRequest.Builder(TestServer.uri("/oauth/token"), method, grant)
            .scope(new Scope(scope)).build();
        return TokenResponse.parse(request.toHTTPRequest().send());
    }

    private static String spring(String token) {
        var registration = ClientRegistrations.fromIssuerLocation(ISSUER)
            .registrationId(GATEWAY)
            .clientId(GATEWAY)
            .clientSecret(SECRET)
            .authorizationGrantType(AuthorizationGrantType.TOKEN_EXCHANGE)
            .scope("openid")
            .build();
        var now = Instant.now();
        var subject = new OAuth2AccessToken(TokenType.BEARER, token, now, now.plusSeconds(60));
        var answer = new RestClientTokenExchangeTokenResponseClient()
            .getTokenResponse(new TokenExchangeGrantRequest(registration, subject, null));
        return answer.getAccessToken().getTokenValue();
    }

    private static JWTClaimsSet claims(String token) throws Exception {
        return SignedJWT.parse(token).getJWTClaimsSet();
    }
}
