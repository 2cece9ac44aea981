package interop;

import static interop.TestServer.ACCOUNT_CLIENT;
import static interop.TestServer.AUDIENCE;
import static interop.TestServer.ISSUER;
import static interop.TestServer.SECRET;
import static interop.TestServer.SERVICE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import java.util.Set;

import org.junit.jupiter.api.Test;
import org.springframework.security.oauth2.client.AuthorizedClientServiceOAuth2AuthorizedClientManager;
import org.springframework.security.oauth2.client.ClientAuthorizationException;
import org.springframework.security.oauth2.client.InMemoryOAuth2AuthorizedClientService;
import org.springframework.security.oauth2.client.OAuth2AuthorizeRequest;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClientProviderBuilder;
import org.springframework.security.oauth2.client.endpoint.OAuth2RefreshTokenGrantRequest;
import org.springframework.security.oauth2.client.endpoint.RestClientRefreshTokenTokenResponseClient;
import org.springframework.security.oauth2.client.registration.ClientRegistration;
import org.springframework.security.oauth2.client.registration.ClientRegistrations;
import org.springframework.security.oauth2.client.registration.InMemoryClientRegistrationRepository;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.core.OAuth2AccessToken;
import org.springframework.security.oauth2.core.OAuth2AccessToken.TokenType;
import org.springframework.security.oauth2.core.OAuth2AuthorizationException;
import org.springframework.security.oauth2.core.OAuth2RefreshToken;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtValidationException;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.oauth2.server.resource.introspection.BadOpaqueTokenException;
import org.springframework.security.oauth2.server.resource.introspection.OAuth2IntrospectionException;
import org.springframework.security.oauth2.server.resource.introspection.OpaqueTokenIntrospector;
import org.springframework.security.oauth2.server.resource.introspection.SpringOpaqueTokenIntrospector;

/** Spring Security as a client and as a resource server, wired by hand as its documentation shows, without a web server. */
class SpringTest {
    @Test
    void finds_the_token_endpoint_by_the_issuer_and_gets_a_service_token() {
        for (var method : Set.of(ClientAuthenticationMethod.CLIENT_SECRET_BASIC, ClientAuthenticationMethod.CLIENT_SECRET_POST)) {
            var token = serviceToken(registration(SECRET, "groups:read", "members:read").clientAuthenticationMethod(method).build());
            assertEquals(Set.of("groups:read", "members:read"), token.getScopes());
            assertTrue(Duration.between(Instant.now(), token.getExpiresAt()).toMinutes() >= 14);
        }
    }

    /** Spring reads an error from answers of status 400 alone; RFC 6749 section 5.2 wants 401 here, so it quotes ours. */
    @Test
    void quotes_the_error_of_a_wrong_secret() {
        var refusal = assertThrows(ClientAuthorizationException.class, () -> serviceToken(registration("wrong").build()));
        assertEquals("invalid_token_response", refusal.getError().getErrorCode());
        assertTrue(refusal.getMessage().contains("\"error\":\"invalid_client\""), refusal.getMessage());
        assertTrue(refusal.getMessage().contains("its secret or assertion is wrong"), refusal.getMessage());
    }

    @Test
    void names_the_error_of_a_scope_the_client_was_not_given() {
        var refusal = assertThrows(ClientAuthorizationException.class,
            () -> serviceToken(registration(SECRET, "groups:admin").build()));
        assertEquals("invalid_scope", refusal.getError().getErrorCode());
        assertNotNull(refusal.getError().getDescription());
    }

    @Test
    void renews_the_tokens_of_a_sign_in() throws Exception {
        var first = TestServer.signIn("refresh_token");
        var answer = renew(first);
        assertNotEquals(first, answer.getTokenValue());
    }

    @Test
    void names_the_error_of_a_refresh_token_that_is_none() {
        var refusal = assertThrows(OAuth2AuthorizationException.class, () -> renew("nonsense"));
        assertEquals("invalid_grant", refusal.getError().getErrorCode());
    }

    @Test
    void accepts_an_access_token_as_a_resource_server_that_knows_only_the_issuer() {
        var jwt = decoder(AUDIENCE).decode(serviceToken(registration(SECRET).build()).getTokenValue());
        assertEquals(SERVICE, jwt.getSubject());
        assertEquals(ISSUER, jwt.getIssuer().toString());
    }

    @Test
    void refuses_an_access_token_for_another_audience() {
        var token = serviceToken(registration(SECRET).build()).getTokenValue();
        var refusal = assertThrows(JwtValidationException.class, () -> decoder("https://elsewhere.example").decode(token));
        assertTrue(refusal.getMessage().contains("aud"), refusal.getMessage());
    }

    @Test
    void introspects_a_token_as_a_resource_server() {
        var principal = introspector(SECRET).introspect(serviceToken(registration(SECRET).build()).getTokenValue());
        assertEquals(SERVICE, principal.getAttribute("client_id"));
        assertTrue(principal.getAuthorities().stream().anyMatch(held -> "SCOPE_groups:read".equals(held.getAuthority())));
    }

    @Test
    void tells_a_token_that_is_none_from_a_secret_that_is_wrong() {
        assertThrows(BadOpaqueTokenException.class, () -> introspector(SECRET).introspect("nonsense"));
        var refusal = assertThrows(OAuth2IntrospectionException.class, () -> introspector("wrong").introspect("nonsense"));
        assertTrue(!(refusal instanceof BadOpaqueTokenException), refusal.toString());
    }

    private static ClientRegistration.Builder registration(String secret, String... scope) {
        return ClientRegistrations.fromIssuerLocation(ISSUER)
            .registrationId("tokensmith")
            .clientId(SERVICE)
            .clientSecret(secret)
            .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
            .scope(scope.length == 0 ? new String[] {"groups:read"} : scope);
    }

    private static OAuth2AccessToken serviceToken(ClientRegistration registration) {
        var registrations = new InMemoryClientRegistrationRepository(registration);
        var manager = new AuthorizedClientServiceOAuth2AuthorizedClientManager(
            registrations, new InMemoryOAuth2AuthorizedClientService(registrations));
        manager.setAuthorizedClientProvider(OAuth2AuthorizedClientProviderBuilder.builder().clientCredentials().build());
        var request = OAuth2AuthorizeRequest.withClientRegistrationId("tokensmith").principal("a service").build();
        return manager.authorize(request).getAccessToken();
    }

    private static OAuth2RefreshToken renew(String token) {
        var registration = ClientRegistrations.fromIssuerLocation(ISSUER)
            .registrationId("account")
            .clientId(ACCOUNT_CLIENT)
            .clientAuthenticationMethod(ClientAuthenticationMethod.NONE)
            .authorizationGrantType(AuthorizationGrantType.REFRESH_TOKEN)
            .build();
        var now = Instant.now();
        var spent = new OAuth2AccessToken(TokenType.BEARER, "expired", now.minusSeconds(2), now.minusSeconds(1));
        var request = new OAuth2RefreshTokenGrantRequest(registration, spent, new OAuth2RefreshToken(token, now));
        return new RestClientRefreshTokenTokenResponseClient().getTokenResponse(request).getRefreshToken();
    }

    /** RFC 9068 section 4: the type, the issuer and the audience are looked at; the keys are found by the issuer. */
    private static JwtDecoder decoder(String audience) {
        var decoder = NimbusJwtDecoder.withIssuerLocation(ISSUER).jwsAlgorithm(SignatureAlgorithm.ES256).build();
        decoder.setJwtValidator(JwtValidators.createAtJwtValidator()
            .issuer(ISSUER).audience(audience).clientId(SERVICE).build());
        return decoder;
    }

    private static OpaqueTokenIntrospector introspector(String secret) {
        return SpringOpaqueTokenIntrospector.withIntrospectionUri(ISSUER + "/oauth/introspect")
            .clientId(SERVICE).clientSecret(secret).build();
    }
}
