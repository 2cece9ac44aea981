// openid-client 6, as its documentation says to use it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as client from 'openid-client'
import { accountClient, audience, claims, service, signIn, url, words } from './server.js'

const insecure = { execute: [client.allowInsecureRequests] }

const discover = (auth, id = service.id) => client.discovery(url, id, undefined, auth, insecure)

const methods = [client.ClientSecretBasic(service.secret), client.ClientSecretPost(service.secret)]

for (const [index, name] of ['client_secret_basic', 'client_secret_post'].entries()) {
  test(`openid-client discovers the server and gets a service token with ${name}`, async () => {
    const config = await discover(methods[index])
    assert.equal(config.serverMetadata().issuer, url.origin)
    const token = await client.clientCredentialsGrant(config, { scope: service.scope })
    assert.equal(token.token_type, 'bearer')
    assert.equal(token.expires_in, 900)
    assert.deepEqual(words(token.scope), words(service.scope))
    assert.deepEqual(claims(token.access_token).aud, [audience])
  })
}

test('openid-client calls an API with its token', async () => {
  const config = await discover(methods[0])
  const { access_token } = await client.clientCredentialsGrant(config, { scope: service.scope })
  const unknown = new URL('/api/auth/groups/01890000-0000-7000-8000-000000000000', url)
  const answer = await client.fetchProtectedResource(config, access_token, unknown, 'GET')
  assert.equal(answer.status, 404)
})

test('openid-client hears of a wrong token from the challenge of an API', async () => {
  const config = await discover(methods[0])
  const group = new URL('/api/auth/groups/01890000-0000-7000-8000-000000000000', url)
  await assert.rejects(client.fetchProtectedResource(config, 'nonsense', group, 'GET'), (error) => {
    assert.ok(error instanceof client.WWWAuthenticateChallengeError)
    assert.equal(error.cause[0].scheme, 'bearer')
    assert.equal(error.cause[0].parameters.error, 'invalid_token')
    return true
  })
})

test('openid-client names the error of a wrong secret', async () => {
  const config = await discover(client.ClientSecretPost('wrong'))
  await assert.rejects(client.clientCredentialsGrant(config), refusal('invalid_client', 401, /secret or assertion is wrong/))
})

test('openid-client shows the challenge when a wrong secret came by HTTP Basic', async () => {
  const config = await discover(client.ClientSecretBasic('wrong'))
  await assert.rejects(client.clientCredentialsGrant(config), (error) => {
    assert.ok(error instanceof client.WWWAuthenticateChallengeError)
    assert.equal(error.status, 401)
    assert.equal(error.cause[0].scheme, 'basic')
    return true
  })
})

test('openid-client names the error of a scope the client was not given', async () => {
  const config = await discover(methods[0])
  const grant = client.clientCredentialsGrant(config, { scope: 'groups:admin' })
  await assert.rejects(grant, refusal('invalid_scope', 400, /./))
})

test('openid-client introspects a token, revokes it, and introspects it again', async () => {
  const config = await discover(methods[0])
  const { access_token } = await client.clientCredentialsGrant(config, { scope: service.scope })
  const live = await client.tokenIntrospection(config, access_token)
  assert.equal(live.active, true)
  assert.equal(live.client_id, service.id)
  assert.equal(live.token_type, 'Bearer')
  await client.tokenRevocation(config, access_token)
  assert.deepEqual(await client.tokenIntrospection(config, access_token), { active: false })
})

test('openid-client reads a signed introspection answer (RFC 9701)', async () => {
  const metadata = { introspection_signed_response_alg: 'ES256' }
  const config = await client.discovery(url, service.id, metadata, methods[0], insecure)
  client.enableNonRepudiationChecks(config)
  const { access_token } = await client.clientCredentialsGrant(config, { scope: service.scope })
  const live = await client.tokenIntrospection(config, access_token)
  assert.equal(live.active, true)
  assert.equal(live.client_id, service.id)
})

test('openid-client renews the tokens of a sign-in, and the spent token is refused later', async () => {
  const config = await discover(client.None(), accountClient)
  const first = await signIn()
  const second = await client.refreshTokenGrant(config, first.refresh_token)
  assert.notEqual(second.refresh_token, first.refresh_token)
  const third = await client.refreshTokenGrant(config, second.refresh_token)
  assert.equal(claims(third.access_token).sub, first.user_id)
  // Two generations old is no honest retry: the family ends, and with it the newest token.
  await assert.rejects(client.refreshTokenGrant(config, first.refresh_token), refusal('invalid_grant', 400, /./))
  await assert.rejects(client.refreshTokenGrant(config, third.refresh_token), refusal('invalid_grant', 400, /./))
})

test('openid-client narrows the scope when it renews', async () => {
  const config = await discover(client.None(), accountClient)
  const { refresh_token } = await signIn()
  const narrow = await client.refreshTokenGrant(config, refresh_token, { scope: 'openid' })
  assert.equal(narrow.scope, 'openid')
})

test('openid-client revokes a refresh token', async () => {
  const config = await discover(client.None(), accountClient)
  const { refresh_token } = await signIn()
  await client.tokenRevocation(config, refresh_token)
  await assert.rejects(client.refreshTokenGrant(config, refresh_token), refusal('invalid_grant', 400, /./))
})

function refusal(code, status, description) {
  return (error) => {
    assert.ok(error instanceof client.ResponseBodyError, String(error))
    assert.equal(error.error, code)
    assert.equal(error.status, status)
    assert.match(error.error_description, description)
    return true
  }
}
