package interop;

import static interop.TestServer.ISSUER;
import static interop.TestServer.SECRET;
import static interop.TestServer.SERVICE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.util.List;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.oauth2.sdk.ClientCredentialsGrant;
import com.nimbusds.oauth2.sdk.Scope;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.TokenResponse;
import com.nimbusds.oauth2.sdk.auth.ClientAuthentication;
import com.nimbusds.oauth2.sdk.auth.ClientSecretBasic;
import com.nimbusds.oauth2.sdk.auth.PrivateKeyJWT;
import com.nimbusds.oauth2.sdk.auth.Secret;
import com.nimbusds.oauth2.sdk.dpop.DefaultDPoPProofFactory;
import com.nimbusds.oauth2.sdk.http.HTTPRequest;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.token.AccessToken;
import com.nimbusds.oauth2.sdk.token.DPoPAccessToken;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.security.oauth2.client.endpoint.NimbusJwtClientAuthenticationParametersConverter;
import org.springframework.security.oauth2.client.endpoint.OAuth2ClientCredentialsGrantRequest;
import org.springframework.security.oauth2.client.endpoint.RestClientClientCredentialsTokenResponseClient;
import org.springframework.security.oauth2.client.registration.ClientRegistrations;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.core.OAuth2AuthorizationException;

/** What Nimbus and Spring Security do with keys of the client's own: private_key_jwt (RFC 7523) and DPoP (RFC 9449). */
class KeysTest {
    private static final String KEYED = "java-keyed";
    private static final URI TOKEN_ENDPOINT = TestServer.uri("/oauth/token");
    private static final URI GROUP = TestServer.uri("/api/auth/groups/01890000-0000-7000-8000-000000000000");
    private static ECKey key;

    @BeforeAll
    static void register_a_client_with_its_public_key() throws Exception {
        key = newKey();
        TestServer.register(KEYED, "{\"jwks\":" + new JWKSet(key.toPublicJWK()) + "}", null,
            "--auth-method", "private_key_jwt", "--scope", "groups:read");
    }

    @Test
    void nimbus_gets_a_service_token_with_an_assertion_for_the_issuer() throws Exception {
        assertNotNull(send(request(assertion(ISSUER, key))).toSuccessResponse().getTokens().getAccessToken());
    }

    @Test
    void nimbus_shows_why_an_assertion_for_the_token_endpoint_is_refused() throws Exception {
        var error = send(request(assertion(TOKEN_ENDPOINT.toString(), key))).toErrorResponse().getErrorObject();
        assertEquals("invalid_client", error.getCode());
        assertTrue(error.getDescription().contains("aud must be this server's issuer"), error.getDescription());
    }

    @Test
    void nimbus_shows_that_an_assertion_by_another_key_is_refused() throws Exception {
        var error = send(request(assertion(ISSUER, newKey()))).toErrorResponse().getErrorObject();
        assertEquals("invalid_client", error.getCode());
        assertEquals(401, error.getHTTPStatusCode());
    }

    @Test
    void spring_gets_a_service_token_with_an_assertion_for_the_issuer() {
        assertNotNull(springToken(ISSUER));
    }

    /** Spring names the token endpoint unless it is told otherwise, and quotes a 401 instead of reading it. */
    @Test
    void spring_quotes_why_an_assertion_for_the_token_endpoint_is_refused() {
        var refusal = assertThrows(OAuth2AuthorizationException.class, () -> springToken(TOKEN_ENDPOINT.toString()));
        assertTrue(refusal.getMessage().contains("aud must be this server's issuer"), refusal.getMessage());
    }

    @Test
    void nimbus_gets_a_token_bound_to_its_key_and_calls_an_api_with_it() throws Exception {
        var proofs = new DefaultDPoPProofFactory(key, JWSAlgorithm.ES256);
        var token = boundToken(proofs);
        var claims = SignedJWT.parse(token.getValue()).getJWTClaimsSet();
        assertEquals(key.computeThumbprint().toString(), claims.getJSONObjectClaim("cnf").get("jkt"));
        assertEquals(404, call(token, proofs.createDPoPJWT("GET", GROUP, token)));
    }

    @Test
    void nimbus_is_refused_with_a_proof_by_another_key_and_with_a_proof_used_before() throws Exception {
        var proofs = new DefaultDPoPProofFactory(key, JWSAlgorithm.ES256);
        var token = boundToken(proofs);
        var others = new DefaultDPoPProofFactory(newKey(), JWSAlgorithm.ES256);
        assertEquals(401, call(token, others.createDPoPJWT("GET", GROUP, token)));
        var proof = proofs.createDPoPJWT("GET", GROUP, token);
        assertEquals(404, call(token, proof));
        assertEquals(401, call(token, proof));
    }

    @Test
    void nimbus_shows_why_a_proof_for_another_endpoint_is_refused() throws Exception {
        var request = request(basic()).toHTTPRequest();
        request.setDPoP(new DefaultDPoPProofFactory(key, JWSAlgorithm.ES256).createDPoPJWT("POST", GROUP));
        var error = TokenResponse.parse(request.send()).toErrorResponse().getErrorObject();
        assertEquals("invalid_dpop_proof", error.getCode());
        assertNotNull(error.getDescription());
    }

    private static ECKey newKey() throws Exception {
        return new ECKeyGenerator(Curve.P_256).keyID("one").generate();
    }

    private static ClientAuthentication assertion(String audience, ECKey key) throws Exception {
        return new PrivateKeyJWT(new ClientID(KEYED), URI.create(audience), JWSAlgorithm.ES256,
            key.toECPrivateKey(), key.getKeyID(), null);
    }

    private static ClientAuthentication basic() {
        return new ClientSecretBasic(new ClientID(SERVICE), new Secret(SECRET));
    }

    private static TokenRequest request(ClientAuthentication method) {
        return new TokenRequest.Builder(TOKEN_ENDPOINT, method, new ClientCredentialsGrant())
            .scope(new Scope("groups:read")).build();
    }

    private static TokenResponse send(TokenRequest request) throws Exception {
        return TokenResponse.parse(request.toHTTPRequest().send());
    }

    private static DPoPAccessToken boundToken(DefaultDPoPProofFactory proofs) throws Exception {
        var request = request(basic()).toHTTPRequest();
        request.setDPoP(proofs.createDPoPJWT("POST", TOKEN_ENDPOINT));
        return TokenResponse.parse(request.send()).toSuccessResponse().getTokens().getDPoPAccessToken();
    }

    private static int call(AccessToken token, SignedJWT proof) throws Exception {
        var request = new HTTPRequest(HTTPRequest.Method.GET, GROUP);
        request.setAuthorization(token.toAuthorizationHeader());
        request.setDPoP(proof);
        return request.send().getStatusCode();
    }

    private static String springToken(String audience) {
        var assertions = new NimbusJwtClientAuthenticationParametersConverter<OAuth2ClientCredentialsGrantRequest>(
            registration -> key);
        assertions.setJwtClientAssertionCustomizer(context -> context.getClaims().audience(List.of(audience)));
        var client = new RestClientClientCredentialsTokenResponseClient();
        client.addParametersConverter(assertions);
        var registration = ClientRegistrations.fromIssuerLocation(ISSUER)
            .registrationId(KEYED)
            .clientId(KEYED)
            .clientAuthenticationMethod(ClientAuthenticationMethod.PRIVATE_KEY_JWT)
            .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
            .scope("groups:read")
            .build();
        var answer = client.getTokenResponse(new OAuth2ClientCredentialsGrantRequest(registration));
        return answer.getAccessToken().getTokenValue();
    }
}
