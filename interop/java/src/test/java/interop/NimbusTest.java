package interop;

import static interop.TestServer.ACCOUNT_CLIENT;
import static interop.TestServer.AUDIENCE;
import static interop.TestServer.ISSUER;
import static interop.TestServer.SCOPE;
import static interop.TestServer.SECRET;
import static interop.TestServer.SERVICE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.BadJWTException;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import com.nimbusds.oauth2.sdk.AuthorizationGrant;
import com.nimbusds.oauth2.sdk.ClientCredentialsGrant;
import com.nimbusds.oauth2.sdk.ErrorObject;
import com.nimbusds.oauth2.sdk.RefreshTokenGrant;
import com.nimbusds.oauth2.sdk.Scope;
import com.nimbusds.oauth2.sdk.TokenIntrospectionRequest;
import com.nimbusds.oauth2.sdk.TokenIntrospectionResponse;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.TokenResponse;
import com.nimbusds.oauth2.sdk.TokenRevocationRequest;
import com.nimbusds.oauth2.sdk.as.AuthorizationServerMetadata;
import com.nimbusds.oauth2.sdk.auth.ClientAuthentication;
import com.nimbusds.oauth2.sdk.auth.ClientSecretBasic;
import com.nimbusds.oauth2.sdk.auth.ClientSecretPost;
import com.nimbusds.oauth2.sdk.auth.Secret;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.id.Issuer;
import com.nimbusds.oauth2.sdk.token.AccessToken;
import com.nimbusds.oauth2.sdk.token.RefreshToken;
import com.nimbusds.oauth2.sdk.token.Token;
import org.junit.jupiter.api.Test;

/** Nimbus OAuth 2.0 SDK, as its documentation says to use it. */
class NimbusTest {
    private final AuthorizationServerMetadata server = AuthorizationServerMetadata.resolve(new Issuer(ISSUER));

    NimbusTest() throws Exception {}

    @Test
    void gets_a_service_token_by_either_use_of_the_secret() throws Exception {
        var methods = List.of(basic(SECRET), new ClientSecretPost(new ClientID(SERVICE), new Secret(SECRET)));
        for (var method : methods) {
            var token = serviceToken(method);
            assertEquals(900, token.getLifetime());
            assertEquals(Scope.parse(SCOPE), token.getScope());
        }
    }

    @Test
    void names_the_error_of_a_wrong_secret() throws Exception {
        var error = refused(new TokenRequest.Builder(server.getTokenEndpointURI(), basic("wrong"),
            new ClientCredentialsGrant()).build());
        assertRefusal(error, "invalid_client", 401);
    }

    @Test
    void names_the_error_of_a_scope_the_client_was_not_given() throws Exception {
        var error = refused(new TokenRequest.Builder(server.getTokenEndpointURI(), basic(SECRET),
            new ClientCredentialsGrant()).scope(new Scope("groups:admin")).build());
        assertRefusal(error, "invalid_scope", 400);
    }

    @Test
    void introspects_a_token_revokes_it_and_introspects_it_again() throws Exception {
        var token = serviceToken(basic(SECRET));
        var live = introspect(basic(SECRET), token).toSuccessResponse();
        assertTrue(live.isActive());
        assertEquals(SERVICE, live.getClientID().getValue());
        assertEquals(Scope.parse(SCOPE), live.getScope());

        var revocation = new TokenRevocationRequest(server.getRevocationEndpointURI(), basic(SECRET), token);
        assertTrue(revocation.toHTTPRequest().send().indicatesSuccess());
        assertFalse(introspect(basic(SECRET), token).toSuccessResponse().isActive());
    }

    @Test
    void hears_that_a_wrong_secret_may_not_introspect() throws Exception {
        var error = introspect(basic("wrong"), serviceToken(basic(SECRET))).toErrorResponse().getErrorObject();
        assertEquals("invalid_client", error.getCode());
    }

    @Test
    void renews_the_tokens_of_a_sign_in_until_they_are_revoked() throws Exception {
        var first = new RefreshToken(TestServer.signIn("refresh_token"));
        var second = send(renewal(first)).toSuccessResponse().getTokens().getRefreshToken();
        assertNotEquals(first, second);
        var revocation = new TokenRevocationRequest(server.getRevocationEndpointURI(), new ClientID(ACCOUNT_CLIENT), second);
        assertTrue(revocation.toHTTPRequest().send().indicatesSuccess());
        assertRefusal(refused(renewal(second)), "invalid_grant", 400);
    }

    @Test
    void accepts_an_access_token_as_a_resource_server() throws Exception {
        var claims = processor(AUDIENCE).process(serviceToken(basic(SECRET)).getValue(), null);
        assertEquals(SERVICE, claims.getSubject());
    }

    @Test
    void refuses_an_access_token_for_another_audience() throws Exception {
        var token = serviceToken(basic(SECRET)).getValue();
        var refusal = assertThrows(BadJWTException.class, () -> processor("https://elsewhere.example").process(token, null));
        assertTrue(refusal.getMessage().contains("aud"), refusal.getMessage());
    }

    private static ClientAuthentication basic(String secret) {
        return new ClientSecretBasic(new ClientID(SERVICE), new Secret(secret));
    }

    private AccessToken serviceToken(ClientAuthentication method) throws Exception {
        var request = new TokenRequest.Builder(server.getTokenEndpointURI(), method, new ClientCredentialsGrant())
            .scope(Scope.parse(SCOPE)).build();
        return send(request).toSuccessResponse().getTokens().getAccessToken();
    }

    private TokenRequest renewal(RefreshToken token) {
        AuthorizationGrant grant = new RefreshTokenGrant(token);
        return new TokenRequest.Builder(server.getTokenEndpointURI(), new ClientID(ACCOUNT_CLIENT), grant).build();
    }

    private static TokenResponse send(TokenRequest request) throws Exception {
        return TokenResponse.parse(request.toHTTPRequest().send());
    }

    private static ErrorObject refused(TokenRequest request) throws Exception {
        return send(request).toErrorResponse().getErrorObject();
    }

    private TokenIntrospectionResponse introspect(ClientAuthentication method, Token token) throws Exception {
        var request = new TokenIntrospectionRequest(server.getIntrospectionEndpointURI(), method, token);
        return TokenIntrospectionResponse.parse(request.toHTTPRequest().send());
    }

    private DefaultJWTProcessor<SecurityContext> processor(String audience) throws Exception {
        var keys = JWKSourceBuilder.create(server.getJWKSetURI().toURL()).build();
        var required = Set.of("sub", "client_id", "iat", "exp", "jti");
        var claims = new JWTClaimsSet.Builder().issuer(ISSUER).build();
        var processor = new DefaultJWTProcessor<SecurityContext>();
        processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.ES256, keys));
        processor.setJWTClaimsSetVerifier(new DefaultJWTClaimsVerifier<>(audience, claims, required));
        return processor;
    }

    private static void assertRefusal(ErrorObject error, String code, int status) {
        assertEquals(code, error.getCode());
        assertEquals(status, error.getHTTPStatusCode());
        assertNotNull(error.getDescription());
    }
}
